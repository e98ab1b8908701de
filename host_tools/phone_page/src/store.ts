/**
 * What this phone remembers, in IndexedDB: the bridges that it is paired with, and keys of pairings that were not
 * completed. All keys are CryptoKeys that cannot be read out.
 */
import type { KnownBridge } from "./protocol/types.ts";

const NAME = "speakeasy";
const VERSION = 1;
const BRIDGES = "bridges"; // KnownBridge by `bridge`
const PENDING = "pending"; // PendingKey by [bridge, phone]
/** Keys of unfinished pairings that are kept for each bridge. */
export const MOST_PENDING = 4;

/** A key that the bridge may or may not have saved (SPEC 2.4, `enrol` and `confirm`). */
export interface PendingKey {
  bridge: string;
  phone: string;
  role: "owner" | "guest";
  name: string;
  sessionKey: CryptoKey;
  claimKey: CryptoKey;
}
/** `at`: a later one has a greater one. */
type StoredPending = PendingKey & { at: number };

/**
 * Why nothing can be remembered. `no-store`: this browser keeps nothing here (a private window, or it was told not to).
 * `store-full`: there is no room. `newer-store`: a newer version of this page has used it, this one has to be updated.
 */
export type StoreTroubleKind = "no-store" | "store-full" | "newer-store";

export class StoreTrouble extends Error {
  override readonly name = "StoreTrouble";
  constructor(readonly kind: StoreTroubleKind) {
    super(kind);
  }
}

function troubleOf(error: unknown): StoreTrouble {
  const name = error instanceof DOMException || error instanceof Error ? error.name : "";
  if (name === "QuotaExceededError") return new StoreTrouble("store-full");
  return new StoreTrouble(name === "VersionError" ? "newer-store" : "no-store");
}

const result = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error());
  });

/** May change what a KnownBridge says of the bridge; never whose it is, or its keys. */
export type Change = Partial<Omit<KnownBridge, "bridge" | "phone" | "sessionKey" | "claimKey">>;

/** Every method rejects with StoreTrouble. */
export class Store {
  private constructor(private database: IDBDatabase) {}

  /** Opens it, and asks the browser to keep it when room is scarce (which it may refuse). */
  static async open(): Promise<Store> {
    try {
      const store = new Store(await Store.#connect());
      // Nobody waits for it: some browsers ask the person first.
      void globalThis.navigator?.storage?.persist?.().catch(() => {});
      return store;
    } catch (error) {
      throw troubleOf(error);
    }
  }

  static #connect(): Promise<IDBDatabase> {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(BRIDGES, { keyPath: "bridge" });
      request.result.createObjectStore(PENDING, { keyPath: ["bridge", "phone"] }).createIndex("bridge", "bridge");
    };
    return result(request).then((database) => {
      // A newer page in another tab wants to change it: it goes first, and this one says `newer-store` from then on.
      database.onversionchange = () => database.close();
      return database;
    });
  }

  /** One transaction: all of `work` is done when this resolves, on the disk as well, or nothing. */
  async #in<T>(
    mode: "readonly" | "readwrite",
    work: (bridges: IDBObjectStore, pending: IDBObjectStore) => Promise<T>,
  ): Promise<T> {
    try {
      let transaction: IDBTransaction;
      try {
        transaction = this.database.transaction([BRIDGES, PENDING], mode, { durability: "strict" });
      } catch {
        // A browser may close it by itself, and one of another version does.
        this.database = await Store.#connect();
        transaction = this.database.transaction([BRIDGES, PENDING], mode, { durability: "strict" });
      }
      const done = new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error ?? new Error());
      });
      done.catch(() => {}); // where a request failed, that is why
      const value = await work(transaction.objectStore(BRIDGES), transaction.objectStore(PENDING));
      await done;
      return value;
    } catch (error) {
      throw troubleOf(error);
    }
  }

  /** All bridges that this phone is paired with, by id. */
  list(): Promise<KnownBridge[]> {
    return this.#in("readonly", (bridges) => result(bridges.getAll() as IDBRequest<KnownBridge[]>));
  }

  get(bridge: string): Promise<KnownBridge | null> {
    return this.#in(
      "readonly",
      async (bridges) => (await result(bridges.get(bridge) as IDBRequest<KnownBridge | undefined>)) ?? null,
    );
  }

  async put(known: KnownBridge): Promise<void> {
    await this.#in("readwrite", (bridges) => result(bridges.put(known)));
  }

  /** Changes some members of a known bridge; nothing where it is not known (any more). */
  async patch(bridge: string, change: Change): Promise<void> {
    await this.#in("readwrite", async (bridges) => {
      const known = await result(bridges.get(bridge) as IDBRequest<KnownBridge | undefined>);
      if (known) await result(bridges.put({ ...known, ...change }));
    });
  }

  /**
   * This phone is not paired with that bridge any more, as `phone`. A newer key, of a pairing in another tab, stays: then it is false. So
   * does what is pending: nobody knows what it is worth.
   */
  remove(bridge: string, phone: string): Promise<boolean> {
    return this.#in("readwrite", async (bridges) => {
      const known = await result(bridges.get(bridge) as IDBRequest<KnownBridge | undefined>);
      if (known && known.phone !== phone) return false;
      await result(bridges.delete(bridge));
      return true;
    });
  }

  /** The keys that a bridge may have saved, the newest first. */
  pending(bridge: string): Promise<PendingKey[]> {
    return this.#in("readonly", async (_, pending) =>
      (await ofBridge(pending, bridge)).map(({ at: _at, ...key }) => key),
    );
  }

  /** Keeps a key that the bridge is about to be told to save. Must be done before `confirm` is sent. */
  async addPending(key: PendingKey): Promise<void> {
    await this.#in("readwrite", async (_, pending) => {
      const before = await ofBridge(pending, key.bridge);
      await result(pending.put({ ...key, at: (before[0]?.at ?? 0) + 1 } satisfies StoredPending));
      for (const old of before.slice(MOST_PENDING - 1)) await result(pending.delete([old.bridge, old.phone]));
    });
  }

  /**
   * The bridge has proven that it saved the pending key of `phone`, with this role and name: it becomes the one in use.
   *
   * `othersAreVoid`: the bridge had no owner before, so no other pending key can be worth anything. Where it is a known
   * bridge, what was known of its place stays.
   */
  async confirm(
    bridge: string,
    phone: string,
    proven: { role: "owner" | "guest"; name: string },
    othersAreVoid = false,
  ): Promise<KnownBridge> {
    return this.#in("readwrite", async (bridges, pending) => {
      const keys = await ofBridge(pending, bridge);
      const key = keys.find((one) => one.phone === phone);
      if (!key) throw new Error("no such key is pending");
      const before = await result(bridges.get(bridge) as IDBRequest<KnownBridge | undefined>);
      const known: KnownBridge = {
        bridge,
        phone,
        role: proven.role,
        name: proven.name,
        sessionKey: key.sessionKey,
        claimKey: key.claimKey,
        addr: before?.addr ?? "",
        ssid: before?.ssid ?? "",
        inUntil: 0,
      };
      await result(bridges.put(known));
      for (const one of keys) if (one === key || othersAreVoid) await result(pending.delete([one.bridge, one.phone]));
      return known;
    });
  }
}

/** Newest first. */
async function ofBridge(pending: IDBObjectStore, bridge: string): Promise<StoredPending[]> {
  const found = await result(pending.index("bridge").getAll(bridge) as IDBRequest<StoredPending[]>);
  return found.sort((one, other) => other.at - one.at);
}
