/** A session with one bridge (SPEC 2.2 to 2.4): the handshake, then requests, on any Link. */
import * as answers from "./answers.ts";
import { type Bytes, hex, utf8 } from "./bytes.ts";
import { cut, Joiner } from "./fragments.ts";
import { Handshake, ID_BYTES, VERSION } from "./handshake.ts";
import { type Direction, LARGEST_PLAIN } from "./records.ts";
import {
  type Credential,
  type Link,
  type OpName,
  type Ops,
  type PagedOp,
  Refused,
  type Role,
  type Session,
  Trouble,
  type TroubleKind,
} from "./types.ts";

const ERROR = 0x05;
const [BAD_PROOF, LOCKED, NOT_NOW, BAD_VERSION] = [2, 3, 4, 6]; // codes of ERROR; any other is `broken`

/** In ms. */
export const LIMITS = {
  handshake: 10_000, // the bridge hangs up after as long
  request: 15_000, // a scan takes seconds
  bye: 3_000,
  lastWords: 500, // for an ERROR that is on its way when a write fails
  silence: 30_000, // the bridge hangs up on a phone that sends nothing for so long
  session: 600_000, // and ends every session after as long
  clocks: 2_000, // how far the bridge's clock may be ahead of ours by then
} as const;
export type Limits = { readonly [Name in keyof typeof LIMITS]: number };

const MOST_PAGES = 64;
const MOST_WAITING = 2; // messages that nobody has taken yet: ACCEPT, and welcome right behind it

/** `info` of a bridge: anybody may send it, nothing proves it. `state` as in SPEC 2's table. */
export interface Info {
  version: number;
  state: number;
  bridge: string;
}
/** The `state` of a bridge that no phone owns. */
export const UNOWNED = 0;

/** Throws Trouble: `not-a-bridge`, or `older-bridge`. One that knows a newer version may know ours, too. */
export function parseInfo(value: Uint8Array): Info {
  const [version, state] = [value[0] ?? 0, value[1] ?? 0];
  if (value.length < 2 + ID_BYTES || (version === VERSION && value.length !== 2 + ID_BYTES))
    throw new Trouble("not-a-bridge");
  if (version < VERSION) throw new Trouble("older-bridge");
  return { version, state, bridge: hex(value.subarray(2, 2 + ID_BYTES)) };
}

/** Rejects with Trouble `timeout` when `promise` takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Trouble("timeout")), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const asTrouble = (error: unknown): Trouble => (error instanceof Trouble ? error : new Trouble("out-of-range"));

/** Messages on a link. The first thing that goes wrong is why it is over; after that it only says so. */
class Wire {
  /** Is called once, when it is over. */
  onOver: (why: Trouble) => void = () => {};
  why: Trouble | null = null;
  #joiner = new Joiner();
  #waiting: Bytes[] = [];
  #wanted: { resolve: (message: Bytes) => void; reject: (why: Trouble) => void } | null = null;

  constructor(
    private readonly link: Link,
    private readonly meaning: (code: number) => TroubleKind,
  ) {
    link.onFragment = (fragment) => this.#take(fragment);
    link.onGone = () => this.fail(new Trouble("out-of-range"));
  }

  #take(fragment: Uint8Array): void {
    if (this.why) return;
    try {
      const message = this.#joiner.feed(fragment);
      if (!message) return;
      if (message[0] === ERROR)
        return this.fail(new Trouble(message.length === 2 ? this.meaning(message[1] ?? 0) : "broken"));
      if (this.#wanted) {
        this.#wanted.resolve(message);
        this.#wanted = null;
      } else if (this.#waiting.push(message) > MOST_WAITING) throw new Trouble("broken");
    } catch (error) {
      this.fail(asTrouble(error));
    }
  }

  /** Ends it, and hangs up. */
  fail(why: Trouble): void {
    if (this.why) return;
    this.why = why;
    this.#wanted?.reject(why);
    this.#wanted = null;
    this.link.close();
    this.onOver(why);
  }

  /** Whether a message came that nobody asked for. */
  get uncalledFor(): boolean {
    return this.#waiting.length > 0;
  }

  /** The next message that is no ERROR; what came before the end still counts. Rejects with why it is over. */
  receive(): Promise<Bytes> {
    const message = this.#waiting.shift();
    if (message) return Promise.resolve(message);
    if (this.why) return Promise.reject(this.why);
    return new Promise((resolve, reject) => {
      this.#wanted = { resolve, reject };
    });
  }

  /** Rejects with why it is over. A bridge that hangs up in the middle has said why before: that is waited for. */
  async send(message: Bytes, lastWords: number): Promise<void> {
    for (const fragment of cut(message)) {
      if (this.why) throw this.why;
      try {
        await this.link.write(fragment);
      } catch (error) {
        for (let turn = 0; turn < 10 && !this.why; turn++)
          await new Promise((resolve) => setTimeout(resolve, lastWords / 10));
        this.fail(asTrouble(error));
        throw this.why ?? error;
      }
    }
  }
}

class BridgeSession implements Session {
  onOver: ((why: Trouble | null) => void) | null = null;
  #over: { why: Trouble | null } | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #lastId = 0;
  #began = Date.now();
  #sent = this.#began;
  /** A limit had passed when the last request was sent: the bridge may be gone without having heard it. */
  #late = false;
  #reading = false;
  #ending = false;

  constructor(
    readonly bridge: string,
    readonly role: Role,
    readonly name: string,
    readonly version: string,
    private readonly wire: Wire,
    private readonly toBridge: Direction,
    private readonly fromBridge: Direction,
    private readonly limits: Limits,
  ) {
    // While an answer is being read, that it is complete comes first: some are the bridge's last.
    wire.onOver = (why) => {
      if (!this.#reading) this.#end(this.#explained(why));
    };
  }

  /** Whether the bridge hangs up by now for a limit of its own. */
  get #past(): boolean {
    const now = Date.now() + this.limits.clocks;
    return now - this.#began >= this.limits.session || now - this.#sent >= this.limits.silence;
  }

  #explained(why: Trouble): Trouble {
    return why.kind === "out-of-range" && (this.#late || this.#past) ? new Trouble("hung-up") : why;
  }

  get #why(): Trouble {
    return this.#over?.why ?? new Trouble("hung-up");
  }

  #end(why: Trouble | null): void {
    if (this.#over) return;
    this.#over = { why: this.#ending ? null : why };
    this.wire.fail(why ?? new Trouble("hung-up"));
    this.onOver?.(this.#over.why);
  }

  request<Name extends OpName>(op: Name, given: Ops[Name]["request"]): Promise<Ops[Name]["answer"]> {
    return this.#inTurn(async () => this.#read(op, await this.#ask(op, given)));
  }

  pages<Name extends PagedOp>(op: Name, given: Ops[Name]["request"]): Promise<Ops[Name]["answer"]> {
    return this.#inTurn(async () => {
      let all = await this.#ask(op, { ...given, page: 0 });
      let more = all.more === true;
      for (let page = 1; more; page++) {
        if (page === MOST_PAGES) throw this.#broken();
        const next = await this.#ask(op, { ...given, page });
        try {
          all = answers.append(op, all, next);
        } catch {
          throw this.#broken();
        }
        more = next.more === true;
      }
      return this.#read(op, all);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }

  #broken(): Trouble {
    this.#end(new Trouble("broken"));
    return new Trouble("broken");
  }

  #read<Name extends OpName>(op: Name, answer: answers.Json): Ops[Name]["answer"] {
    try {
      return answers.read(op, answer);
    } catch {
      throw this.#broken();
    }
  }

  /** One request and its answer: sealed only when it is its turn, as sequences have no gaps. */
  async #ask(op: OpName, given: object, limit = this.limits.request): Promise<answers.Json> {
    if (this.#over) throw this.#why;
    const id = ++this.#lastId;
    const plain = utf8(JSON.stringify({ op, id, ...given }));
    // It would fit into no record; the session goes on.
    if (plain.length > LARGEST_PLAIN) throw new Refused("bad-request", "");
    this.#reading = true;
    try {
      if (this.wire.uncalledFor) throw new Trouble("broken");
      const answer = await within(limit, this.#exchange(plain));
      if (answer.id !== id || typeof answer.ok !== "boolean") throw new Trouble("broken");
      // The bridge hangs up after these: nothing is wrong with that.
      if (answer.ok && (op === "bye" || op === "reboot" || op === "reset")) this.#end(null);
      if (answer.ok) return answer;
      throw new Refused(answers.printable(answer.error) || "failed", answers.printable(answer.say));
    } catch (error) {
      if (error instanceof Refused) throw error;
      this.#end(this.#explained(asTrouble(error)));
      throw this.#why;
    } finally {
      this.#reading = false;
      if (this.wire.why) this.#end(this.#explained(this.wire.why));
    }
  }

  async #exchange(plain: Bytes): Promise<answers.Json> {
    const message = await this.toBridge.seal(plain);
    this.#late = this.#past;
    this.#sent = Date.now();
    await this.wire.send(message, this.limits.lastWords);
    return answers.parse(await this.fromBridge.open(await this.wire.receive()));
  }

  async end(): Promise<void> {
    this.#ending = true;
    if (!this.#over) await this.#inTurn(() => this.#ask("bye", {}, this.limits.bye)).catch(() => {});
    this.#end(null);
  }
}

/**
 * Shakes hands over `link`, which belongs to the session from now on: it is closed with it, or on failure. `known`: what
 * was read from this link before. `expectedBridge`: an id (hex); a bridge with another one is refused.
 *
 * Rejects with Trouble. `wrong-secret`, `locked`, `has-owner`, `no-invite`: anybody near by can say so, as a bridge proves
 * itself only to who has its secret.
 */
export async function openSession(
  link: Link,
  credential: Credential,
  expectedBridge?: string,
  known?: Info,
  limits: Limits = LIMITS,
): Promise<Session> {
  let info = known;
  let proven = false;
  const meaning = (code: number): TroubleKind => {
    if (proven) return "broken";
    if (code === BAD_PROOF) return "wrong-secret";
    if (code === LOCKED) return "locked";
    if (code === NOT_NOW && credential.mode !== "phone-key")
      return credential.mode === "invite" ? "no-invite" : "has-owner";
    if (code === BAD_VERSION) return info && info.version > VERSION ? "older-page" : "older-bridge";
    return "broken";
  };
  const wire = new Wire(link, meaning);
  const send = (message: Bytes) => wire.send(message, limits.lastWords);
  const shakeHands = async () => {
    info ??= parseInfo(await link.readInfo());
    if (expectedBridge !== undefined && info.bridge !== expectedBridge) throw new Trouble("another-bridge");
    const handshake = await Handshake.begin(credential);
    await send(handshake.hello);
    await send(await handshake.prove(await wire.receive(), info.bridge));
    const [toBridge, fromBridge] = await handshake.accept(await wire.receive());
    proven = true;
    const welcome = answers.parse(await fromBridge.open(await wire.receive()));
    const { op, bridge, role } = welcome;
    if (op !== "welcome" || bridge !== info.bridge || (role !== "owner" && role !== "guest" && role !== "new"))
      throw new Trouble("broken");
    const [name, version] = [answers.printable(welcome.name), answers.printable(welcome.version)];
    return new BridgeSession(bridge, role, name, version, wire, toBridge, fromBridge, limits);
  };
  try {
    return await within(limits.handshake, shakeHands());
  } catch (error) {
    wire.fail(asTrouble(error));
    throw wire.why ?? error;
  }
}
