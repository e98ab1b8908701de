import type { Credential, KnownBridge, Link, Session } from "../protocol/types.ts";
import { Trouble } from "../protocol/types.ts";
import { openSession } from "../protocol/session.ts";
import { openKnown, pair } from "../pair.ts";
import type { Change, Store } from "../store.ts";

/** ms: a bridge hangs up on a phone that says nothing for 30 s (SPEC 2). */
const ALIVE = 12_000;

/** What screens need of it that only ask a bridge something. */
export type Reach = Pick<Contact, "session" | "trouble" | "isNear" | "reach" | "onChange">;

/**
 * The bridge that is being set up: the connection comes and goes, this stays. The session is one with the code or the invite until the
 * phone is paired, then one with the phone's own key.
 */
export class Contact {
  session: Session | null = null;
  /** Why the last connection ended, unless it was this page that ended it. */
  trouble: unknown = null;
  /** Is called when one of these changes by itself. */
  onChange: () => void = () => {};
  /** The connection that was made last, by which the bridge can be reached again. */
  #link: Link | null = null;
  /** It did not answer the last time: a tap shows the browser's list again. */
  #stale = true;
  #timer: ReturnType<typeof setInterval> | undefined;
  #opening: Promise<Session> | null = null;
  #closed = false;
  /** Somebody waits for a session, or has one: not after end() and release(). */
  #wanted = false;

  /** `choose`: the browser's list, and a connection; needs a tap. */
  constructor(
    private readonly choose: () => Promise<Link>,
    private readonly store: Store,
    private readonly credential: Credential | null,
    public known: KnownBridge | null,
  ) {}

  /** Whether it can connect without a tap. */
  get isNear(): boolean {
    return !this.#stale;
  }

  /** The session that there is, or a new one. `tap`: this is a person's, so the browser's list may be shown. */
  async reach(tap: boolean): Promise<Session> {
    if (this.session) return this.session;
    this.#wanted = !this.#closed;
    this.#opening ??= this.#open(tap, (link) => this.#begin(link)).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #open(tap: boolean, begin: (link: Link) => Promise<Session>): Promise<Session> {
    const last = this.#stale ? null : this.#link;
    this.trouble = null;
    this.#stale = true; // until it has answered
    try {
      if (!last && !tap) throw new Trouble("out-of-range");
      this.#link = last ? await last.again() : await this.choose();
      const session = await begin(this.#link);
      this.#stale = false;
      if (!this.#wanted) {
        // Nobody would end it, and it would keep the bridge from others.
        void session.end();
        throw new Trouble("hung-up");
      }
      this.#take(session);
      return session;
    } catch (error) {
      // Refused by the bridge itself: it is there.
      if (this.#link && error instanceof Trouble && error.kind !== "out-of-range" && error.kind !== "timeout")
        this.#stale = error.kind === "another-bridge" || error.kind === "wrong-secret" || error.kind === "unproven";
      if (this.#wanted) {
        this.trouble = error;
        this.onChange();
      }
      throw error;
    }
  }

  #begin(link: Link): Promise<Session> {
    if (this.known) return openKnown(link, this.known);
    if (!this.credential) throw new Trouble("wrong-secret");
    return openSession(link, this.credential);
  }

  #take(session: Session): void {
    this.session = session;
    session.onOver = (why) => {
      if (this.session !== session) return;
      this.#drop();
      this.trouble = why;
      this.onChange();
    };
    this.#timer = setInterval(() => this.#keepAlive(session), ALIVE);
    this.onChange();
  }

  #drop(): void {
    clearInterval(this.#timer);
    this.session = null;
  }

  /** Says something, so that the bridge waits while a person reads or types. An `enrol` without `confirm` counts for nothing. */
  #keepAlive(session: Session): void {
    if (document.visibilityState === "hidden") return;
    const said = session.role === "new" ? session.request("enrol", { name: "-" }) : session.request("status", {});
    said.catch(() => {}); // onOver tells
  }

  /**
   * Pairs this phone under `name`, and goes on as that phone: over new connections to the same bridge. A tap's. Rejects with
   * Trouble, Refused or StoreTrouble; may be tried again.
   */
  async pair(name: string): Promise<Session> {
    const { credential } = this;
    if (this.known || !credential) return this.reach(true);
    const ended = this.end();
    this.#wanted = !this.#closed;
    const paired = async (link: Link) => {
      const { known, session } = await pair(this.store, link, credential, name);
      this.known = known;
      return session;
    };
    this.#opening = ended
      .then(() => this.#open(true, paired))
      .finally(() => {
        this.#opening = null;
      });
    return this.#opening;
  }

  async keep(change: Change): Promise<void> {
    if (!this.known) return;
    this.known = { ...this.known, ...change };
    await this.store.patch(this.known.bridge, change);
  }

  /** For good: what is being opened is closed as soon as it is there, whoever asks again. */
  close(): void {
    this.#closed = true;
    void this.end();
  }

  /** Says bye. The bridge stays chosen. */
  async end(): Promise<void> {
    const session = this.release();
    await session?.end();
  }

  /** The session, for who goes on with it. */
  release(): Session | null {
    const { session } = this;
    this.#wanted = false;
    this.#drop();
    if (session) session.onOver = null;
    return session;
  }
}
