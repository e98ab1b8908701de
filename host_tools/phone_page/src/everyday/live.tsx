/**
 * The session that everyday screens share. It ends by itself (ten minutes at most, or the phone walks off); the screens stay, with what they
 * knew last, and go on when there is another one.
 */
import { createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { type KnownBridge, type Session, Trouble } from "../protocol/types.ts";
import type { Change } from "../store.ts";
import type { Outcome } from "../visit.ts";

/** What everyday needs of the world outside: main.tsx has the real ones. */
export interface Doors {
  /**
   * A session as this phone: by the browser's list, which needs a tap; or, where the bridge `isNear`, over a connection like the last one.
   */
  connect(known: KnownBridge, isNear: boolean): Promise<Session>;
  /** To be let in, or to have Bluetooth switched on (owners), over Wi-Fi: goes to the bridge's own page, and comes back. Resolves where it cannot go. */
  visit(known: KnownBridge, purpose: "claim" | "open"): Promise<Outcome>;
  /** What is not in `change` stays as it is: another tab may know better. */
  save(bridge: string, change: Change): Promise<void>;
  /** Forgets this key. A newer one, of another tab's, stays: then it is false. */
  forget(known: KnownBridge): Promise<boolean>;
}

/** s between two looks at a list that changes by itself. A bridge hangs up on a phone that says nothing for 30 s (SPEC 2). */
export const LOOK_S = 10;

/** ms for which a bridge whose session has ended is still on the air (SPEC 2: 60 s), less what connecting takes. */
export const STAYS_NEAR = 45_000;

export interface Live {
  known: KnownBridge;
  doors: Doors;
  /** Null while there is none: before the first, and after each one's end. */
  session: Session | null;
  role: "owner" | "guest";
  /** Why the last one ended, or did not come about. */
  trouble: unknown;
  /** Whether it can be connected again without the browser's list. */
  isNear(): boolean;
  /** The session that there is, or a new one; without a `tap` only where it is near. Rejects with Trouble. */
  reach(tap: boolean): Promise<Session>;
  /** This page's own changes to what is kept of the bridge. */
  keep(change: Change): void;
  go(where: Where): void;
  /** To where `go` was called. */
  back(): void;
  /** This phone is none of the bridge's any more, or the bridge is as new: forget it here, and say so. */
  gone(why: "left" | "reset"): Promise<void>;
  /** Says bye, and goes home. */
  disconnect(): Promise<void>;
}

export type Where =
  | "overview"
  | "device"
  | "invite"
  | "people"
  | "blocked"
  | "set-up"
  | "dorm-wifi"
  | "join"
  | "speaker-wifi"
  | "experts"
  | "log";

export const LiveContext = createContext<Live | null>(null);

export function useLive(): Live {
  const live = useContext(LiveContext);
  if (!live) throw new Error("no LiveContext around");
  return live;
}

export interface Asked<T> {
  /** The last answer; it stays while another one is waited for, and when there is none. */
  value: T | null;
  /** Why there was no answer. Of a session that is over the screen's head tells; it is not said twice. */
  error: unknown;
  busy: boolean;
  /** Asks now. Never rejects. */
  again(): Promise<void>;
  put(value: T): void;
}

/** Asks when the screen appears, whenever there is a new session, and every `every_s` s while somebody looks at the page. */
export function useAsked<T>(ask: (session: Session) => Promise<T>, every_s?: number): Asked<T> {
  const { session } = useLive();
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(session !== null);
  const current = useRef({ session, ask, alive: true, round: 0 });
  current.current.session = session;
  current.current.ask = ask;
  const again = async () => {
    const { session, ask } = current.current;
    if (!session) return;
    const round = ++current.current.round;
    const counts = () => current.current.alive && current.current.round === round;
    setBusy(true);
    try {
      const answer = await ask(session);
      if (!counts()) return;
      setValue(() => answer);
      setError(null);
    } catch (reason) {
      if (counts()) setError(reason);
    } finally {
      if (counts()) setBusy(false);
    }
  };
  useEffect(() => {
    current.current.alive = true;
    return () => {
      current.current.alive = false;
    };
  }, []);
  useEffect(() => {
    if (!session) {
      current.current.round++;
      setBusy(false);
      return;
    }
    void again();
    if (every_s === undefined) return;
    const timer = setInterval(() => document.visibilityState !== "hidden" && void again(), 1000 * every_s);
    return () => clearInterval(timer);
  }, [session, every_s]);
  const put = (value: T) => {
    current.current.round++; // an answer that is under way is older than this
    setBusy(false);
    setError(null);
    setValue(() => value);
  };
  return { value, error, busy, again, put };
}

export interface Doing {
  busy: boolean;
  error: unknown;
  /** What was done, in words, until the next one begins. */
  done: string;
  /** Does one thing; whether it was done. Never rejects. `work` may return words for `done`. */
  run(work: (session: Session) => Promise<string | void>): Promise<boolean>;
  clear(): void;
}

/** One thing at a time that a person asks for. */
export function useDoing(): Doing {
  const { session } = useLive();
  const [busy, setBusy] = useState(false);
  const working = useRef(false);
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState("");
  const clear = () => {
    setError(null);
    setDone("");
  };
  const run = async (work: (session: Session) => Promise<string | void>) => {
    if (working.current) return false;
    clear();
    if (!session) {
      setError(new Trouble("hung-up"));
      return false;
    }
    working.current = true;
    setBusy(true);
    try {
      setDone((await work(session)) ?? "");
      return true;
    } catch (reason) {
      setError(reason);
      return false;
    } finally {
      working.current = false;
      setBusy(false);
    }
  };
  return { busy, error, done, run, clear };
}

/** ms since 1970, as often as a clock on the screen needs it. */
export function useNow(every_s = 1): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000 * every_s);
    return () => clearInterval(timer);
  }, [every_s]);
  return now;
}

/** How the connection ended, for the screens' head. */
export interface Over {
  error: unknown;
  /** `error` is that of a connection that did not come about. */
  attempted: boolean;
  /** It lasted as long as any may. */
  long: boolean;
  connecting: boolean;
  connect(): void;
  forget(): Promise<void>;
}

export const OverContext = createContext<Over | null>(null);
