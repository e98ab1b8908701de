/** A bridge's answers for the views: what the real one says is tested in tests/page, in a browser. */
import { cleanup, render } from "@testing-library/preact";
import { useState } from "preact/hooks";
import type { KnownBridge, OpName, Session, Status } from "../../protocol/types.ts";
import { Refused, Trouble } from "../../protocol/types.ts";
import type { Change } from "../../store.ts";
import type { Outcome } from "../../visit.ts";
import { type Doors, Everyday } from "../everyday.tsx";

export const BRIDGE = "a1b2c3d4e5f60718";
export const PHONE = "00112233445566aa";
export const FRIEND = "00112233445566bb";

export const known = (more: Partial<KnownBridge> = {}): KnownBridge => ({
  bridge: BRIDGE,
  phone: PHONE,
  role: "owner",
  name: "Ada",
  sessionKey: {} as CryptoKey,
  claimKey: {} as CryptoKey,
  addr: "10.66.1.161",
  ssid: "Dorm",
  inUntil: 0,
  ...more,
});

export const status = (more: Partial<Status> = {}): Status => ({
  bridge: BRIDGE,
  version: "0.9.0",
  protocol: 1,
  mode: "passthrough",
  ethernet: null,
  ble: { state: "managed", left_s: null },
  damaged: false,
  uplink: { state: "up", ssid: "Dorm", addr: "10.66.1.161", mask: "255.255.252.0", router: "10.66.0.1" },
  segment: { state: "up", speaker: "02:00:00:00:42:20", addr: "10.66.1.161", host: "192.168.77.1" },
  claim_port: 7780,
  phones: 2,
  leases: [{ phone: FRIEND, addr: "10.66.1.7", mac: "02:00:00:00:42:31", by: "mac", left_s: 3600 }],
  flows: 3,
  uptime_s: 7300,
  ...more,
});

type Answers = Partial<Record<OpName, unknown>>;

/** What a bridge in good order answers. A function in the place of an answer gets the request. */
export const ANSWERS: Answers = {
  status: status(),
  phones: {
    phones: [
      { phone: PHONE, name: "Ada", role: "owner" },
      { phone: FRIEND, name: "Grace", role: "guest" },
    ],
  },
  networks: {
    networks: [
      { ssid: "Dorm", open: false },
      { ssid: "eduroam", open: false, user: "ada@example.edu" },
      { ssid: "Cafe", open: true },
    ],
    mac: "02:00:00:00:42:10",
  },
  segment: { ssid: "Speaker", key: "only for the speaker", state: "up" },
  setup: { left_s: 0, seen: [], forgotten: 0, undecided: false, speaker: null },
  services: { services: ["tcp/1400"] },
  addressing: { mode: "passthrough", hosts: [] },
  ethernet: { ethernet: null, now: null },
  log: { lines: [`[65000] operations: phone ${FRIEND} is paired: guest`, "[1] main: started"] },
  counters: { counters: { drop_no_lease: 12, pass_uplink_speaker: 5, drop_of_later: 1 } },
  blocked: {
    blocked: { strangers: [4, 0, 9], impostors: [0, 0, 1], speaker: [0, 0, 0], crowd: [0, 0, 0], odd: [0, 0, 0] },
    into_s: 600,
  },
};

export class FakeSession implements Session {
  readonly version = "0.9.0";
  onOver: ((why: Trouble | null) => void) | null = null;
  readonly asked: { op: OpName; given: unknown }[] = [];
  ended = false;

  constructor(
    readonly answers: Answers = {},
    readonly role: "owner" | "guest" = "owner",
    readonly name = "Ada",
    readonly bridge = BRIDGE,
  ) {}

  async request(op: OpName, given: never): Promise<never> {
    this.asked.push({ op, given });
    const answer = op in this.answers ? this.answers[op] : ANSWERS[op];
    const said = typeof answer === "function" ? answer(given) : (answer ?? {});
    if (said instanceof Refused || said instanceof Trouble) throw said;
    return (await said) as never;
  }

  pages(op: OpName, given: never): Promise<never> {
    return this.request(op, given);
  }

  async end(): Promise<void> {
    this.ended = true;
  }

  /** What was asked of that operation, the latest last. */
  of(op: OpName): unknown[] {
    return this.asked.filter((one) => one.op === op).map((one) => one.given);
  }
}

export interface World {
  visits: string[];
  forgotten: string[];
  kept: Map<string, Change>;
  paired: number;
  /** How the bridge was reached, each time: by the browser's list, or without it. */
  connects: string[];
}

/** The whole of everyday, with a bridge or more; `sessions` are what each connection leads to. */
export function show(
  given: {
    bridges?: KnownBridge[];
    sessions?: (FakeSession | Trouble | Promise<FakeSession>)[];
    begun?: FakeSession;
    outcome?: Outcome;
    visited?: Outcome;
    /** What another tab has in the store when a bridge is forgotten. */
    meanwhile?: KnownBridge[];
    /** What is kept is on the disk then. */
    saved?: Promise<void>;
  } = {},
) {
  cleanup();
  const sessions = [...(given.sessions ?? [])];
  const world: World = { visits: [], forgotten: [], kept: new Map(), paired: 0, connects: [] };
  function Main() {
    const [bridges, setBridges] = useState(given.bridges ?? [known()]);
    const [doors] = useState<Doors>({
      connect: async ({ bridge }, isNear) => {
        world.connects.push(`${isNear ? "near" : "list"} ${bridge}`);
        const next = await sessions.shift();
        if (!next) throw new Trouble("nobody-chosen");
        if (next instanceof Trouble) throw next;
        return next as unknown as Session;
      },
      visit: async (to, purpose) => {
        world.visits.push(`${purpose} ${to.addr}`);
        return given.visited ?? { bridge: to.bridge, purpose, kind: "no-answer" };
      },
      save: async (bridge, change) => {
        await given.saved;
        world.kept.set(bridge, { ...world.kept.get(bridge), ...change });
        setBridges((all) => all.map((one) => (one.bridge === bridge ? { ...one, ...change } : one)));
      },
      forget: async ({ bridge, phone }) => {
        world.forgotten.push(bridge);
        const stays = (one: KnownBridge) => one.bridge !== bridge || one.phone !== phone;
        setBridges((all) => (given.meanwhile ?? all).filter(stays));
        return !given.meanwhile?.some((one) => one.bridge === bridge && stays(one));
      },
    });
    return (
      <Everyday
        bridges={bridges}
        outcome={given.outcome ?? null}
        begun={given.begun ? { bridge: BRIDGE, session: given.begun as unknown as Session } : null}
        doors={doors}
        onPair={() => world.paired++}
      />
    );
  }
  return { ...render(<Main />), world };
}
