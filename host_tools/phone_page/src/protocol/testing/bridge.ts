/** For tests: the bridge's side of SPEC 2.1 to 2.4, on a Link in memory. */
import { type Bytes, fromHex, hex, join, utf8 } from "../bytes.ts";
import { cut, Joiner, LARGEST_PIECE } from "../fragments.ts";
import { hmac, importHmac, sha256 } from "../keys.ts";
import { Direction } from "../records.ts";
import { type Link, Trouble } from "../types.ts";

export type Request = Record<string, unknown> & { op: string; id: number };
export type Answer = Record<string, unknown>;

/** K of SPEC 2.2 in its six parts, and the H that goes into the proofs. */
export async function keysOf(secret: Bytes, hello: Bytes, challenge: Bytes, shared: Bytes) {
  const h = await sha256(join(utf8("speakeasy pairing 1"), hello, challenge));
  const p = await hmac(await importHmac(secret), join(utf8("speakeasy secret 1"), h));
  const ikm = await crypto.subtle.importKey("raw", join(p, shared), "HKDF", false, ["deriveBits"]);
  const salt = join(hello.subarray(11, 27), challenge.subarray(10, 26));
  const how = { name: "HKDF", hash: "SHA-256", salt, info: join(utf8("speakeasy session 1"), h) };
  const k = new Uint8Array(await crypto.subtle.deriveBits(how, ikm, 1280));
  return { h, p, k };
}

/** Phones as a bridge keeps them, for TestBridge's `answer`: enrol and confirm of SPEC 2.4. */
export class Registry {
  phones = new Map<string, { name: string; role: string; key: string }>();
  #draft: { phone: string; name: string; role: string; key: string } | null = null;

  constructor(private readonly bridge: TestBridge) {
    bridge.answer = (request) => this.answer(request);
    bridge.refusal = (mode) => (mode === 1 && this.phones.size ? 4 : null);
    this.#settle();
  }

  /** Forgets everybody. */
  reset(): void {
    for (const phone of this.phones.keys()) this.bridge.secrets.delete(`02${phone}`);
    this.phones.clear();
    this.#settle();
  }

  #settle(): void {
    this.bridge.state = this.phones.size ? 3 : 0;
  }

  welcome(mode: number, id: string): { role: string; name: string | null } {
    return mode === 2 ? (this.phones.get(id) ?? { role: "new", name: null }) : { role: "new", name: null };
  }

  answer({ op, name }: Request): Answer {
    if (op === "enrol") {
      const [phone, key] = [8, 32].map((size) => hex(crypto.getRandomValues(new Uint8Array(size))));
      const role = this.phones.size ? "guest" : "owner";
      this.#draft = { phone: phone!, key: key!, role, name: name as string };
      return { phone, key, role };
    }
    if (op === "confirm") {
      if (!this.#draft) return { ok: false, error: "bad-request", say: "Nothing to confirm: enrol first." };
      const { phone, ...kept } = this.#draft;
      this.#draft = null;
      this.phones.set(phone, kept);
      this.bridge.secrets.set(`02${phone}`, fromHex(kept.key));
      this.#settle();
    }
    return {};
  }
}

/** One bridge; each connection to it is a new Link. What a test sets is what the next message does. */
export class TestBridge {
  id = "b0b1b2b3b4b5b6b7";
  state = 0;
  version = 1;
  /** By mode and key id in hex: what a HELLO may name. */
  secrets = new Map<string, Bytes>();
  role = "owner";
  name = "Ada";
  /** Answers a request; `null`: says nothing. */
  answer: (request: Request) => Answer | null = () => ({});
  /** An ERROR in place of the CHALLENGE: always, or by the mode of HELLO. */
  refuse: number | null = null;
  refusal: (mode: number) => number | null = () => null;
  registry: Registry | null = null;
  /** Changes a message on its way to the phone; a list of several are sent one after the other. */
  spoil: (message: Bytes) => Bytes | Bytes[] | null = (message) => message;
  /** The connection breaks at this write, or before this notification, counted from 0 over all connections. */
  breakAt = Infinity;
  loseAt = Infinity;
  writes = 0;
  notifications = 0;
  requests: Request[] = [];
  connections: TestLink[] = [];

  constructor(readonly setupCode: Bytes = Uint8Array.from({ length: 16 }, (_, at) => at)) {
    this.secrets.set("010000000000000000", setupCode);
  }

  connect(): TestLink {
    const link = new TestLink(this);
    this.connections.push(link);
    return link;
  }
}

export class TestLink implements Link {
  onFragment: ((fragment: Uint8Array) => void) | null = null;
  onGone: (() => void) | null = null;
  gone = false;
  #joiner = new Joiner();
  #proof: ((proof: Bytes) => Promise<Bytes | null>) | null = null;
  #inward: Direction | null = null;
  #outward: Direction | null = null;
  #work: Promise<unknown> = Promise.resolve();
  #welcome = (): object => ({});

  constructor(private readonly bridge: TestBridge) {}

  readInfo(): Promise<Uint8Array> {
    return Promise.resolve(join(Uint8Array.of(this.bridge.version, this.bridge.state), fromHex(this.bridge.id)));
  }

  async write(fragment: Uint8Array): Promise<void> {
    if (this.bridge.writes++ === this.bridge.breakAt) this.hangUp();
    if (this.gone) throw new Trouble("out-of-range");
    if (fragment.length < 2 || fragment.length > 20) throw new Error("a fragment of a wrong size");
    const message = this.#joiner.feed(fragment);
    if (message) this.#work = this.#work.then(() => this.#handle(message));
  }

  again(): Promise<Link> {
    return Promise.resolve(this.bridge.connect());
  }

  close(): void {
    this.hangUp();
  }

  hangUp(): void {
    if (this.gone) return;
    this.gone = true;
    this.onGone?.();
  }

  /** As it is, in pieces of `size`. */
  notify(message: Bytes, size = LARGEST_PIECE): void {
    for (const fragment of cut(message, size)) {
      if (this.bridge.notifications++ === this.bridge.loseAt) this.hangUp();
      if (!this.gone) this.onFragment?.(fragment);
    }
  }

  #send(message: Bytes): void {
    const sent = this.bridge.spoil(message);
    for (const one of Array.isArray(sent) ? sent : sent ? [sent] : []) this.notify(one);
  }

  error(code: number): void {
    this.#send(Uint8Array.of(0x05, code));
    this.hangUp();
  }

  async #handle(message: Bytes): Promise<void> {
    if (this.gone) return;
    if (message[0] === 0x01) return this.#hello(message);
    if (message[0] === 0x03 && this.#proof) {
      const accept = await this.#proof(message.slice(1));
      this.#proof = null;
      if (!accept) return this.error(2);
      this.#send(accept);
      await this.say({ op: "welcome", ...this.#welcome(), bridge: this.bridge.id, version: "0.1.0" });
      return;
    }
    if (!this.#inward) return this.error(1);
    let request: Request;
    try {
      request = JSON.parse(new TextDecoder().decode(await this.#inward.open(message))) as Request;
    } catch {
      return this.error(5);
    }
    this.bridge.requests.push(request);
    const answer = this.bridge.answer(request);
    if (answer) await this.say({ id: request.id, ok: true, ...answer });
    if (answer && answer.ok !== false && ["bye", "reboot", "reset"].includes(request.op)) this.hangUp();
  }

  /** A record. */
  async say(what: unknown): Promise<void> {
    if (this.#outward)
      this.#send(await this.#outward.seal(utf8(typeof what === "string" ? what : JSON.stringify(what))));
  }

  async #hello(hello: Bytes): Promise<void> {
    const [mode, id] = [hello[2] ?? 0, hex(hello.subarray(3, 11))];
    const refused = this.bridge.refuse ?? this.bridge.refusal(mode);
    if (refused !== null) return this.error(refused);
    this.#welcome = () => this.bridge.registry?.welcome(mode, id) ?? { role: this.bridge.role, name: this.bridge.name };
    const secret = this.bridge.secrets.get(hex(hello.subarray(2, 11))) ?? new Uint8Array(32);
    const pair = (await crypto.subtle.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair;
    const own = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    const challenge = join(Uint8Array.of(0x02, 1), fromHex(this.bridge.id), nonce, own);
    const theirs = await crypto.subtle.importKey("raw", hello.slice(27), "X25519", false, []);
    const bits = await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, pair.privateKey, 256);
    const { h, k } = await keysOf(secret, hello, challenge, new Uint8Array(bits));
    this.#proof = async (proof) => {
      if (hex(await hmac(await importHmac(k.slice(32, 64)), h)) !== hex(proof)) return null;
      this.#inward = await Direction.of(k.slice(64, 80), k.slice(80, 112));
      this.#outward = await Direction.of(k.slice(112, 128), k.slice(128, 160));
      return join(Uint8Array.of(0x06), await hmac(await importHmac(k.slice(0, 32)), join(h, proof)));
    };
    this.#send(challenge);
  }
}
