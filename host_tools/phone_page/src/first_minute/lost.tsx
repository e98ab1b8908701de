import { useEffect, useRef, useState } from "preact/hooks";
import { TroubleNotice } from "../parts/index.ts";
import { type Session, Trouble, type TroubleKind } from "../protocol/types.ts";
import type { Reach } from "./contact.ts";

/** Ends that need no word: the bridge's own limits, or its one antenna, which it needs for the Wi-Fi that it joins. */
const SILENT: readonly TroubleKind[] = ["hung-up"];
/** ms between two looks, and before a connection that broke is tried again without a tap. */
const LOOK = 1_500;

/** What keeps a screen going over a connection that comes and goes. */
export interface Line {
  /** Why there is no connection; null while there is one, or one is being made. */
  lost: unknown;
  /** Connects again; a tap's. Never rejects. */
  again(): Promise<void>;
  /** Asks the bridge something, over a new connection where the last one is gone. */
  ask<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

export function useLine(contact: Reach): Line {
  const [lost, setLost] = useState<unknown>(contact.session ? null : contact.trouble);
  useEffect(() => {
    contact.onChange = () => {
      const { trouble } = contact;
      setLost(contact.session || (trouble instanceof Trouble && SILENT.includes(trouble.kind)) ? null : trouble);
    };
    return () => {
      contact.onChange = () => {};
    };
  }, [contact]);
  const again = async () => {
    try {
      await contact.reach(true);
      setLost(null);
    } catch (reason) {
      setLost(reason);
    }
  };
  const ask = async <T,>(work: (session: Session) => Promise<T>): Promise<T> => work(await contact.reach(true));
  return { lost, again, ask };
}

/** Looks at something every second or two while the screen is there, until `look` says that it is done. Never two at once. */
export function useLooks(contact: Reach, look: (session: Session) => Promise<boolean>, on = true): void {
  const latest = useRef(look);
  latest.current = look;
  useEffect(() => {
    if (!on) return;
    let timer: ReturnType<typeof setTimeout>;
    let there = true;
    const turn = async () => {
      let done = false;
      try {
        // Without a tap: where the bridge was chosen before, and still answers.
        if (document.visibilityState !== "hidden" && (contact.session || contact.isNear))
          done = await latest.current(await contact.reach(false));
      } catch {
        // useLine tells.
      }
      if (there && !done) timer = setTimeout(turn, LOOK);
    };
    void turn();
    return () => {
      there = false;
      clearTimeout(timer);
    };
  }, [contact, on]);
}

/** The connection is gone: says so, with the button that mends it. Nothing while there is one. */
export function Lost({ line }: { line: Line }) {
  if (line.lost === null) return null;
  return <TroubleNotice error={line.lost} onAgain={line.again} />;
}
