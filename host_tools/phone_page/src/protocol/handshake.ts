/** The phone's side of the handshake (SPEC 2.2), without input or output of its own. */
import { type Bytes, equal, fromHex, hex, join, utf8 } from "./bytes.ts";
import { hmac, importHmac, sha256, subtle } from "./keys.ts";
import { Direction } from "./records.ts";
import { type Credential, Trouble } from "./types.ts";

export const VERSION = 1;
export const HELLO = 0x01;
export const CHALLENGE = 0x02;
export const PROOF = 0x03;
export const ACCEPT = 0x06;

export const ID_BYTES = 8;
const NONCE_BYTES = 16;
const PUBLIC_BYTES = 32;
const PROOF_BYTES = 32;
const KEY_BITS = 8 * 160;
const MODES = { "setup-code": 1, "phone-key": 2, invite: 3 } as const;

/** A key pair of X25519 for one handshake. Throws Trouble `no-crypto` where the browser has none. */
export async function freshPair(): Promise<CryptoKeyPair> {
  const crypto = subtle();
  try {
    return (await crypto.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair;
  } catch {
    throw new Trouble("no-crypto");
  }
}

/** `hello`, then `prove`, then `accept`, once each. */
export class Handshake {
  #proofKey: CryptoKey | null = null;
  #proven: Bytes = new Uint8Array();
  #directions: [Direction, Direction] | null = null;

  private constructor(
    private readonly secret: CryptoKey,
    private readonly nonce: Bytes,
    private readonly privateKey: CryptoKey,
    /** The first message. */
    readonly hello: Bytes,
  ) {}

  /** `nonce` (16 bytes) and `pair` are for test vectors; without them fresh ones are taken. */
  static async begin(credential: Credential, nonce?: Bytes, pair?: CryptoKeyPair): Promise<Handshake> {
    pair ??= await freshPair();
    nonce ??= crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const publicKey = new Uint8Array(await subtle().exportKey("raw", pair.publicKey));
    const id = credential.mode === "setup-code" ? new Uint8Array(ID_BYTES) : fromHex(credential.id);
    const head = Uint8Array.of(HELLO, VERSION, MODES[credential.mode]);
    return new Handshake(credential.secret, nonce, pair.privateKey, join(head, id, nonce, publicKey));
  }

  /** Z. Throws Trouble `unproven` for a public key with which it would be zero: no bridge has one. */
  async #shared(publicKey: Bytes): Promise<Bytes> {
    let shared: Bytes;
    try {
      const theirs = await subtle().importKey("raw", publicKey, "X25519", false, []);
      const bits = await subtle().deriveBits({ name: "X25519", public: theirs }, this.privateKey, 8 * PUBLIC_BYTES);
      shared = new Uint8Array(bits);
    } catch {
      throw new Trouble("unproven");
    }
    if (shared.every((byte) => byte === 0)) throw new Trouble("unproven");
    return shared;
  }

  /**
   * The PROOF for a CHALLENGE of the bridge whose id (hex) is `bridge`. Nothing is known of who sent it yet.
   *
   * Throws Trouble when it is no CHALLENGE of this bridge.
   */
  async prove(challenge: Bytes, bridge: string): Promise<Bytes> {
    const head = 2 + ID_BYTES;
    const nonceEnd = head + NONCE_BYTES;
    if (challenge.length !== nonceEnd + PUBLIC_BYTES || challenge[0] !== CHALLENGE) throw new Trouble("broken");
    if (challenge[1] !== VERSION) throw new Trouble("older-bridge");
    if (hex(challenge.subarray(2, head)) !== bridge) throw new Trouble("another-bridge");
    const shared = await this.#shared(challenge.slice(nonceEnd));
    const h = await sha256(join(utf8("speakeasy pairing 1"), this.hello, challenge));
    const p = await hmac(this.secret, join(utf8("speakeasy secret 1"), h));
    const ikm = join(p, shared);
    const keys = new Uint8Array(
      await subtle().deriveBits(
        {
          name: "HKDF",
          hash: "SHA-256",
          salt: join(this.nonce, challenge.subarray(head, nonceEnd)),
          info: join(utf8("speakeasy session 1"), h),
        },
        await subtle().importKey("raw", ikm, "HKDF", false, ["deriveBits"]),
        KEY_BITS,
      ),
    );
    this.#proofKey = await importHmac(keys.slice(0, 32));
    const proof = await hmac(await importHmac(keys.slice(32, 64)), h);
    this.#proven = join(h, proof);
    this.#directions = [
      await Direction.of(keys.slice(64, 80), keys.slice(80, 112)),
      await Direction.of(keys.slice(112, 128), keys.slice(128, 160)),
    ];
    for (const secret of [shared, p, ikm, keys]) secret.fill(0);
    return join(Uint8Array.of(PROOF), proof);
  }

  /**
   * Checks the ACCEPT that followed: the directions to the bridge and from it.
   *
   * Throws Trouble `unproven` when it does not prove that the bridge holds the secret.
   */
  async accept(message: Bytes): Promise<[Direction, Direction]> {
    const [key, directions] = [this.#proofKey, this.#directions];
    this.#proofKey = this.#directions = null;
    if (message.length !== 1 + PROOF_BYTES || message[0] !== ACCEPT || !key || !directions) throw new Trouble("broken");
    if (!equal(await hmac(key, this.#proven), message.subarray(1))) throw new Trouble("unproven");
    return directions;
  }
}
