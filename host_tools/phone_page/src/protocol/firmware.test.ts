/** This page and the firmware's own session, through a pipe: both were written from SPEC 2, apart from each other. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, expect, test } from "vitest";
import { fromHex, hex, utf8 } from "./bytes.ts";
import { cut, Joiner } from "./fragments.ts";
import { Handshake } from "./handshake.ts";
import { importSecret } from "./keys.ts";
import { LARGEST_PLAIN } from "./records.ts";
import { openSession } from "./session.ts";
import { type Credential, type Link, Trouble } from "./types.ts";

const TOP = fileURLToPath(new URL("../../../../", import.meta.url));
const SIM = process.env.SPEAKEASY_SIM ?? `${TOP}build/sim/speakeasy-sim`;
const BRIDGE = "b0b1b2b3b4b5b6b7";
const LIMIT = 60_000; // ms, generous: MicroPython's X25519 on a machine that does much else
const PATIENT = {
  handshake: LIMIT,
  request: LIMIT,
  bye: LIMIT,
  lastWords: 500,
  silence: LIMIT,
  session: LIMIT,
  clocks: 0,
};

beforeAll(() => {
  if (!existsSync(SIM)) throw new Error(`${SIM} is missing: run make sim`);
});

const SECRETS = {
  "setup-code": { mode: 1, id: "00".repeat(8), secret: "000102030405060708090a0b0c0d0e0f" },
  "phone-key": { mode: 2, id: "f0f1f2f3f4f5f6f7", secret: "4a".repeat(32) },
  invite: { mode: 3, id: "1011121314151617", secret: "5b".repeat(16) },
} as const;
type Mode = keyof typeof SECRETS;

async function credentialOf(mode: Mode, secret: string = SECRETS[mode].secret): Promise<Credential> {
  const key = await importSecret(fromHex(secret));
  return mode === "setup-code" ? { mode, secret: key } : { mode, id: SECRETS[mode].id, secret: key };
}

const running: ChildProcessWithoutNullStreams[] = [];
afterEach(() => {
  for (const process of running.splice(0)) process.kill();
});

/** A link to the firmware in a process of the simulated board. `spoil` may change what is written. */
class Pipe implements Link {
  onFragment: ((fragment: Uint8Array) => void) | null = null;
  onGone: (() => void) | null = null;
  #process: ChildProcessWithoutNullStreams;
  #received = Buffer.alloc(0);
  #gone = false;

  constructor(
    mode: Mode,
    mtu = 185,
    private readonly spoil: (fragment: Uint8Array) => Uint8Array = (fragment) => fragment,
  ) {
    const { mode: number, id, secret } = SECRETS[mode];
    const script = `${TOP}tests/host/firmware_session.py`;
    this.#process = spawn(SIM, ["-X", "heapsize=1M", script, `${mtu}`, `${number}`, id, secret, BRIDGE], {
      env: { MICROPYPATH: `${TOP}firmware:.frozen` },
    });
    running.push(this.#process);
    this.#process.stdin.on("error", () => {}); // it ended first
    this.#process.stdout.on("data", (data: Buffer) => this.#take(data));
    this.#process.stdout.on("close", () => this.close());
  }

  #take(data: Buffer): void {
    this.#received = Buffer.concat([this.#received, data]);
    while (this.#received.length >= 2) {
      const end = 2 + this.#received.readUInt16BE(0);
      if (this.#received.length < end) return;
      const fragment = new Uint8Array(this.#received.subarray(2, end));
      this.#received = this.#received.subarray(end);
      this.onFragment?.(fragment);
    }
  }

  readInfo(): Promise<Uint8Array> {
    return Promise.resolve(fromHex(`0100${BRIDGE}`));
  }

  write(fragment: Uint8Array): Promise<void> {
    if (this.#gone) return Promise.reject(new Trouble("out-of-range"));
    const spoilt = this.spoil(fragment);
    this.#process.stdin.write(Uint8Array.of(spoilt.length >> 8, spoilt.length & 0xff, ...spoilt));
    return Promise.resolve();
  }

  close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#process.stdin.end();
    this.onGone?.();
  }

  again(): Promise<Link> {
    return Promise.reject(new Trouble("out-of-range"));
  }
}

const open = (link: Link, credential: Credential) => openSession(link, credential, BRIDGE, undefined, PATIENT);

test.each([
  ["setup-code", 23],
  ["phone-key", 185],
  ["invite", 517],
] as const)(
  "a whole session with a %s, at MTU %d",
  async (mode, mtu) => {
    const session = await open(new Pipe(mode, mtu), await credentialOf(mode));
    expect(session).toMatchObject({ bridge: BRIDGE, role: "owner", name: "Zoë", version: "1" });
    for (const name of ["ä".repeat(100), "👩‍🚀", "x".repeat(900)])
      expect(await session.request("rename", { phone: "x", name })).toEqual({});
    await session.end();
  },
  LIMIT,
);

test(
  "the longest messages, both ways",
  async () => {
    const link = new Pipe("setup-code", 23);
    const joiner = new Joiner();
    const messages: Uint8Array<ArrayBuffer>[] = [];
    let come = () => {};
    link.onFragment = (fragment) => {
      const message = joiner.feed(fragment);
      if (message) messages.push(message);
      come();
    };
    const receive = async () => {
      while (!messages.length) await new Promise<void>((resolve) => (come = resolve));
      return messages.shift()!;
    };
    const send = async (message: Uint8Array) => {
      for (const fragment of cut(message)) await link.write(fragment);
    };
    const handshake = await Handshake.begin(await credentialOf("setup-code"));
    await send(handshake.hello);
    await send(await handshake.prove(await receive(), BRIDGE));
    const [to, from] = await handshake.accept(await receive());
    await from.open(await receive());
    const head = '{"op":"big","id":1,"text":""}';
    await send(await to.seal(utf8(head.replace('""', `"${"y".repeat(LARGEST_PLAIN - head.length)}"`))));
    const answer = await from.open(await receive());
    expect(answer.length).toBeGreaterThan(LARGEST_PLAIN - 8);
    expect(JSON.parse(new TextDecoder().decode(answer))).toMatchObject({ id: 1, ok: true });
    link.close();
  },
  LIMIT,
);

test(
  "the wrong secret",
  async () => {
    const wrong = await credentialOf("setup-code", "ff".repeat(16));
    await expect(open(new Pipe("setup-code"), wrong)).rejects.toMatchObject({ kind: "wrong-secret" });
  },
  LIMIT,
);

const spoilt = (type: number) => (fragment: Uint8Array) =>
  fragment[0]! & 0x80 && fragment[1] === type ? fragment.map((byte, at) => (at === 19 ? byte ^ 1 : byte)) : fragment;

test(
  "a proof that is changed on its way is refused by the firmware",
  async () => {
    const credential = await credentialOf("setup-code");
    const link = new Pipe("setup-code", 185, spoilt(0x03));
    await expect(open(link, credential)).rejects.toMatchObject({ kind: "wrong-secret" });
  },
  LIMIT,
);

test(
  "a record that is changed on its way is refused by the firmware",
  async () => {
    const session = await open(new Pipe("setup-code", 185, spoilt(0x04)), await credentialOf("setup-code"));
    await expect(session.request("rename", { phone: "x", name: "x" })).rejects.toMatchObject({ kind: "broken" });
  },
  LIMIT,
);

test(
  "a fragment that is lost on its way is noticed by the firmware",
  async () => {
    let written = 0;
    const link = new Pipe("phone-key", 185);
    const write = link.write.bind(link);
    link.write = (fragment) => (++written === 2 ? Promise.resolve() : write(fragment));
    await expect(open(link, await credentialOf("phone-key"))).rejects.toMatchObject({ kind: "broken" });
  },
  LIMIT,
);

test(
  "two sessions have nothing in common that is seen on the way",
  async () => {
    const seen: string[][] = [[], []];
    for (const messages of seen) {
      const link = new Pipe("phone-key", 185, (fragment) => {
        if (fragment.length > 10) messages.push(hex(fragment)); // shorter ones may be the same by chance
        return fragment;
      });
      const session = await open(link, await credentialOf("phone-key"));
      await session.request("confirm", {});
      await session.end();
    }
    expect(seen[0]!.length).toBe(seen[1]!.length);
    // HELLO's first fragment begins alike: type, version, mode, key id.
    expect(seen[0]!.slice(1).filter((fragment) => seen[1]!.includes(fragment))).toEqual([]);
  },
  LIMIT,
);
