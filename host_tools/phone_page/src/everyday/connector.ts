import { openKnown } from "../pair.ts";
import type { KnownBridge, Link, Session } from "../protocol/types.ts";

/** As Doors.connect. `choose`: the browser's list, and a connection; needs a tap. */
export function connector(
  choose: () => Promise<Link>,
  open: (link: Link, known: KnownBridge) => Promise<Session> = openKnown,
): (known: KnownBridge, isNear: boolean) => Promise<Session> {
  let last: { bridge: string; link: Link } | null = null;
  return async (known, isNear) => {
    const before = last;
    last = null;
    const link = isNear && before?.bridge === known.bridge ? await before.link.again() : await choose();
    const session = await open(link, known);
    last = { bridge: known.bridge, link };
    return session;
  };
}
