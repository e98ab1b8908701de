import { openKnown } from "../pair.ts";
import { type KnownBridge, type Link, type Session, Trouble } from "../protocol/types.ts";

/**
 * As Doors.connect. `choose`: the browser's list, and a connection; needs a tap. `fresh`: what is kept of a bridge now; another tab may
 * have paired with it anew meanwhile, or forgotten it.
 */
export function connector(
  choose: () => Promise<Link>,
  fresh: (bridge: string) => Promise<KnownBridge | null>,
  open: (link: Link, known: KnownBridge) => Promise<Session> = openKnown,
): (known: KnownBridge, isNear: boolean) => Promise<Session> {
  let last: { bridge: string; link: Link } | null = null;
  return async ({ bridge }, isNear) => {
    const before = last;
    last = null;
    const link = isNear && before?.bridge === bridge ? await before.link.again() : await choose();
    let known: KnownBridge | null;
    try {
      known = await fresh(bridge);
      if (!known) throw new Trouble("wrong-secret");
    } catch (error) {
      link.close();
      throw error;
    }
    const session = await open(link, known);
    last = { bridge, link };
    return session;
  };
}
