/**
 * Pairing in two phases (SPEC 2.4): a key is stored here before the bridge is told to save it. So wherever the link is
 * lost, no bridge is left with an owner that has no key: it is here, as pending, and is the first that the next attempt tries.
 */
import { fromHex } from "./protocol/bytes.ts";
import { importPhoneKey } from "./protocol/keys.ts";
import { type Info, openSession, parseInfo, UNOWNED } from "./protocol/session.ts";
import { type Credential, type KnownBridge, type Link, type Session, Trouble } from "./protocol/types.ts";
import { MOST_PENDING, type PendingKey, type Store } from "./store.ts";

/** Connections that may be lost on the way. */
export const MOST_LOST = 2;
/** One connection each: every key that may be right, the code or invite, the new phone, and what is lost. */
const MOST_ATTEMPTS = MOST_PENDING + 3 + MOST_LOST;
/** ms for `info`. */
const INFO_LIMIT = 5_000;

/** How a pairing ended. `session` is that of the paired phone. `wasKnown`: a key from before is good; nothing new was made. */
export interface Paired {
  known: KnownBridge;
  session: Session;
  wasKnown: boolean;
}

const credentialOf = (key: { phone: string; sessionKey: CryptoKey }): Credential => ({
  mode: "phone-key",
  id: key.phone,
  secret: key.sessionKey,
});

/** A session as the phone that is paired with `known`. Rejects with Trouble, `another-bridge` where another one was chosen. */
export const openKnown = (link: Link, known: KnownBridge): Promise<Session> =>
  openSession(link, credentialOf(known), known.bridge);

async function infoOf(link: Link): Promise<Info> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Trouble("timeout")), INFO_LIMIT);
  });
  try {
    return parseInfo(await Promise.race([link.readInfo(), late]));
  } catch (error) {
    link.close();
    throw error instanceof Trouble ? error : new Trouble("out-of-range");
  } finally {
    clearTimeout(timer);
  }
}

/** Whether another connection may help. All else would only happen again. */
const mayPass = (error: unknown): boolean =>
  error instanceof Trouble && ["out-of-range", "timeout", "broken", "hung-up"].includes(error.kind);

/**
 * Pairs with the bridge at `link` (and only with that one, over new connections where it has to), under `name` (1 to 32
 * characters). Keys that are stored for it are tried first.
 *
 * Rejects with Refused (`full`, `not-allowed`, ...), Trouble or StoreTrouble. Whenever it is called again after that, with
 * the same credential or another one, nothing is lost, and nobody is enrolled twice.
 */
export async function pair(store: Store, link: Link, credential: Credential, name: string): Promise<Paired> {
  const tried = new Set<string>();
  let bridge: string | null = null;
  let lost = 0;
  let confirmed = false;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    try {
      if (attempt > 0) link = await link.again();
      const info = await infoOf(link);
      if (bridge !== null && info.bridge !== bridge) throw new Trouble("another-bridge");
      bridge = info.bridge;
      const keys = info.state === UNOWNED && !confirmed ? [] : await keysFor(store, bridge);
      const key = keys.find((one) => !tried.has(one.phone));
      if (key) {
        const paired = await tryKey(store, link, info, key);
        if (paired) return { ...paired, wasKnown: !confirmed };
        tried.add(key.phone);
        continue;
      }
      await enrol(store, await openSession(link, credential, bridge, info), credential, name);
      confirmed = true;
    } catch (error) {
      link.close();
      if (!mayPass(error) || ++lost > MOST_LOST) throw error;
    }
  }
  throw new Trouble("out-of-range");
}

/** Pending ones first: they may be newer. */
async function keysFor(store: Store, bridge: string): Promise<(PendingKey | KnownBridge)[]> {
  const known = await store.get(bridge);
  return [...(await store.pending(bridge)), ...(known ? [known] : [])];
}

/** The session of a phone that the bridge may know; null when it says that it does not. */
async function tryKey(
  store: Store,
  link: Link,
  info: Info,
  key: PendingKey | KnownBridge,
): Promise<{ known: KnownBridge; session: Session } | null> {
  let session: Session;
  try {
    session = await openSession(link, credentialOf(key), key.bridge, info);
  } catch (error) {
    // Anybody near by can say so: the key stays here.
    if (error instanceof Trouble && error.kind === "wrong-secret") return null;
    throw error;
  }
  try {
    const proven = { role: session.role === "owner" ? ("owner" as const) : ("guest" as const), name: session.name };
    const isPending = !("addr" in key);
    if (isPending) return { known: await store.confirm(key.bridge, key.phone, proven), session };
    await store.patch(key.bridge, proven);
    return { known: { ...key, ...proven }, session };
  } catch (error) {
    await session.end();
    throw error;
  }
}

async function enrol(store: Store, session: Session, credential: Credential, name: string): Promise<void> {
  try {
    const { phone, key, role } = await session.request("enrol", { name });
    const { bridge } = session;
    await store.addPending({ bridge, phone, role, name, ...(await importPhoneKey(fromHex(key))) });
    await session.request("confirm", {});
    await store.confirm(bridge, phone, { role, name }, credential.mode === "setup-code" && role === "owner");
  } finally {
    await session.end();
  }
}
