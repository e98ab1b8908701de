import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useBack } from "../back.ts";
import { type KnownBridge, type Session, Trouble } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Outcome } from "../visit.ts";
import { Blocked } from "./blocked.tsx";
import { Connect } from "./connect.tsx";
import { Device } from "./device.tsx";
import { DormWifi } from "./dorm_wifi.tsx";
import { Experts } from "./experts.tsx";
import { Home } from "./home.tsx";
import { Invite } from "./invite.tsx";
import { type Doors, type Live, LiveContext, type Over, OverContext, STAYS_NEAR, type Where } from "./live.tsx";
import { JoinWifi } from "./join_wifi.tsx";
import { Log } from "./log.tsx";
import { Overview } from "./overview.tsx";
import { People } from "./people.tsx";
import { SetUp } from "./set_up.tsx";
import { SpeakerWifi } from "./speaker_wifi.tsx";

export type { Doors } from "./live.tsx";

const t = texts.everyday;

/** ms after which a session has ended because none may last longer (SPEC 2): 600 s, counted by the bridge. */
const LONG = 590_000;

type View = { at: "home" } | { at: "connect"; bridge: string } | { at: "live"; bridge: string; where: Where };
const HOME: View = { at: "home" };

type Meeting = {
  session: Session | null;
  began: number;
  error: unknown;
  connecting: boolean;
  long: boolean;
  attempted: boolean;
};
const APART: Meeting = { session: null, began: 0, error: null, connecting: false, long: false, attempted: false };

/** All that a phone does that is paired with one bridge or more. */
export function Everyday(props: {
  bridges: readonly KnownBridge[];
  /** What a visit came back with. */
  outcome: Outcome | null;
  /** A session that there is already. */
  begun: { bridge: string; session: Session } | null;
  doors: Doors;
  /** Whether there is something to set up at first, as far as this phone knows; and to go on with that. */
  isUnfinished?: (known: KnownBridge) => boolean;
  onGoOn?: (known: KnownBridge) => void;
  /** Pair with one more bridge. */
  onPair: () => void;
  /** null: this browser has no Web Serial. */
  onFlash?: (() => void) | null;
}) {
  const { bridges, doors } = props;
  /** What is shown, above what Back leads to. */
  const [views, setViews] = useState<[View, ...View[]]>(() => {
    if (props.begun) return [HOME, { at: "live", bridge: props.begun.bridge, where: "overview" }];
    if (props.outcome?.kind === "opened") return [HOME, { at: "connect", bridge: props.outcome.bridge }];
    return [HOME];
  });
  const view = views.at(-1) ?? HOME;
  const [outcome, setOutcome] = useState(props.outcome);
  const [said, setSaid] = useState("");
  const [meeting, setMeeting] = useState<Meeting>(APART);
  const known = view.at === "home" ? undefined : bridges.find((one) => one.bridge === view.bridge);
  // For what happens later: a session that ends, a page that is left.
  const latest = useRef({ session: meeting.session, known, bridges });
  const near = useRef({ bridge: "", until: 0 });
  /** The bridge whose session is there or waited for; who has left waits for none. */
  const wanted = useRef("");
  /** Connections that are under way, by bridge: also those that nobody waits for any more. */
  const opening = useRef(new Map<string, Promise<Session>>());
  latest.current = { session: meeting.session, known, bridges };

  const meet = (session: Session) => {
    const began = Date.now();
    session.onOver = (why) => {
      near.current = { bridge: session.bridge, until: Date.now() + STAYS_NEAR };
      if (latest.current.session === session) latest.current.session = null;
      setMeeting((now) => (now.session === session ? { ...APART, error: why, long: Date.now() - began >= LONG } : now));
    };
    wanted.current = session.bridge;
    latest.current.session = session;
    setMeeting({ ...APART, session, began });
  };
  const part = () => {
    const { session } = latest.current;
    wanted.current = "";
    latest.current.session = null;
    setMeeting(APART);
    if (!session) return;
    near.current = { bridge: session.bridge, until: Date.now() + STAYS_NEAR };
    session.onOver = null;
    void session.end();
  };
  const show = (next: View) => setViews((now) => [...now, next]);
  const goHome = () => setViews([HOME]);
  const backTo = (depth: number) => {
    const next = views[depth] ?? HOME;
    if (next.at !== "live" || next.bridge !== wanted.current) part();
    setViews((now) => [HOME, ...now.slice(1, depth + 1)]);
  };
  const back = () => backTo(views.length - 2);
  useBack(views.length - 1, backTo);
  const isNear = (to: KnownBridge) => near.current.bridge === to.bridge && Date.now() < near.current.until;
  const open = async (to: KnownBridge, without: boolean): Promise<Session> => {
    near.current.until = 0; // until it has answered
    try {
      const session = await doors.connect(to, without);
      if (wanted.current !== to.bridge) {
        void session.end();
        throw new Trouble("hung-up");
      }
      setOutcome(null);
      meet(session);
      if (session.role !== "new") await doors.save(to.bridge, { role: session.role, name: session.name });
      return session;
    } catch (error) {
      if (wanted.current === to.bridge) setMeeting((now) => ({ ...now, connecting: false, attempted: true, error }));
      throw error;
    }
  };
  const reach = async (to: KnownBridge, tap: boolean): Promise<Session> => {
    const before = latest.current.session;
    if (before?.bridge === to.bridge) return before;
    const without = isNear(to);
    let coming = opening.current.get(to.bridge);
    if (!coming && !without && !tap) throw new Trouble("out-of-range");
    if (before) part();
    wanted.current = to.bridge;
    setMeeting((now) => ({ ...now, connecting: true, error: null }));
    if (!coming) {
      coming = open(to, without).finally(() => opening.current.delete(to.bridge));
      opening.current.set(to.bridge, coming);
    }
    return coming;
  };
  /** Whether there is a session now, and nobody has left meanwhile. What went wrong is shown. */
  const connect = (to: KnownBridge) =>
    reach(to, true).then(
      (session) => latest.current.session === session,
      () => false,
    );
  const forget = async (known: KnownBridge, words: string) => {
    const forgotten = await doors.forget(known);
    part();
    setSaid(forgotten ? words : t.pairedAnew);
    setOutcome(null);
    goHome();
  };

  useEffect(() => {
    if (props.begun) meet(props.begun.session);
    const { outcome } = props;
    if (outcome?.kind === "claimed") {
      const known = bridges.find((one) => one.bridge === outcome.bridge);
      if (known) void doors.save(known.bridge, { inUntil: outcome.until });
    }
    return part;
  }, []);

  const live = useMemo<Live | null>(
    () =>
      known
        ? {
            known,
            doors,
            session: meeting.session?.bridge === known.bridge ? meeting.session : null,
            role: known.role,
            trouble: meeting.error,
            isNear: () => isNear(known),
            reach: (tap) => reach(known, tap),
            keep: (change) => {
              const now = latest.current.bridges.find((one) => one.bridge === known.bridge);
              if (now && !same(now, { ...now, ...change })) void doors.save(known.bridge, change);
            },
            go: (where) => show({ at: "live", bridge: known.bridge, where }),
            back,
            gone: (why) => forget(known, why === "left" ? t.left : t.resetDone),
            disconnect: async () => {
              part();
              goHome();
            },
          }
        : null,
    [known, doors, meeting.session, meeting.error, views],
  );

  if (view.at === "home" || !known || !live) {
    return (
      <Home
        bridges={bridges}
        doors={doors}
        outcome={outcome}
        said={said}
        onOutcome={(next) => {
          setSaid("");
          setOutcome(next);
        }}
        onManage={(bridge) => {
          setSaid("");
          show({ at: "connect", bridge });
        }}
        isUnfinished={(known) => props.isUnfinished?.(known) ?? false}
        onGoOn={(known) => props.onGoOn?.(known)}
        onForget={(known) => forget(known, t.forgotten)}
        onPair={props.onPair}
        onFlash={props.onFlash ?? null}
      />
    );
  }
  if (view.at === "connect") {
    return (
      <Connect
        known={known}
        doors={doors}
        outcome={outcome?.bridge === known.bridge ? outcome : null}
        onOutcome={setOutcome}
        error={meeting.error}
        onBack={back}
        isNear={isNear(known)}
        connecting={meeting.connecting}
        onConnect={async () => {
          if (await connect(known)) setViews([HOME, { at: "live", bridge: known.bridge, where: "overview" }]);
        }}
        onForget={() => forget(known, t.forgotten)}
      />
    );
  }
  const over: Over = {
    error: meeting.error,
    attempted: meeting.attempted,
    long: meeting.long,
    connecting: meeting.connecting,
    connect: () => void connect(known),
    forget: () => forget(known, t.forgotten),
  };
  return (
    <LiveContext.Provider value={live}>
      <OverContext.Provider value={over}>
        <Place where={view.where} />
      </OverContext.Provider>
    </LiveContext.Provider>
  );
}

/** The keys do not change; the rest is plain. */
const same = (one: KnownBridge, other: KnownBridge) =>
  one.addr === other.addr &&
  one.ssid === other.ssid &&
  one.name === other.name &&
  one.role === other.role &&
  // A lease that is used is always renewed: what is kept of it is for people.
  Math.abs(one.inUntil - other.inUntil) < 30_000;

function Place({ where }: { where: Where }) {
  switch (where) {
    case "overview":
      return <Overview />;
    case "device":
      return <Device />;
    case "invite":
      return <Invite />;
    case "people":
      return <People />;
    case "blocked":
      return <Blocked />;
    case "set-up":
      return <SetUp />;
    case "dorm-wifi":
      return <DormWifi />;
    case "join":
      return <JoinWifi />;
    case "speaker-wifi":
      return <SpeakerWifi />;
    case "experts":
      return <Experts />;
    case "log":
      return <Log />;
  }
}
