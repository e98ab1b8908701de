/** Records of one direction (SPEC 2.3). */
import { type Bytes, equal, join, uint32 } from "./bytes.ts";
import { hmac, importHmac, subtle } from "./keys.ts";
import { Trouble } from "./types.ts";

export const RECORD = 0x04;
/** Bytes of JSON in one record. */
export const LARGEST_PLAIN = 992;
const TAG_BYTES = 16;
const OVERHEAD = 1 + 4 + TAG_BYTES; // type, sequence, tag
const LAST_SEQUENCE = 0xffffffff;

/** One object only seals, or only opens; one call at a time. */
export class Direction {
  #sequence = 0;
  private constructor(
    private readonly encKey: CryptoKey,
    private readonly macKey: CryptoKey,
  ) {}

  /** From 16 bytes for AES and 32 for HMAC, which stay the caller's. */
  static async of(encKey: Bytes, macKey: Bytes): Promise<Direction> {
    return new Direction(
      await subtle().importKey("raw", encKey, "AES-CTR", false, ["encrypt"]),
      await importHmac(macKey),
    );
  }

  /** CTR is its own inverse. */
  async #cipher(sequence: Bytes, data: Bytes): Promise<Bytes> {
    const counter = join(sequence, new Uint8Array(12));
    return new Uint8Array(await subtle().encrypt({ name: "AES-CTR", counter, length: 64 }, this.encKey, data));
  }

  /** The next RECORD message for 1 to 992 bytes. Throws RangeError: whoever asks checks the size. */
  async seal(plain: Bytes): Promise<Bytes> {
    if (plain.length < 1 || plain.length > LARGEST_PLAIN || this.#sequence > LAST_SEQUENCE) throw new RangeError();
    const sequence = uint32(this.#sequence++);
    const sealed = join(sequence, await this.#cipher(sequence, plain));
    return join(Uint8Array.of(RECORD), sealed, (await hmac(this.macKey, sealed)).subarray(0, TAG_BYTES));
  }

  /** What is in the next RECORD message. Throws Trouble `broken` when it is not exactly that one. */
  async open(message: Bytes): Promise<Bytes> {
    const size = message.length - OVERHEAD;
    if (size < 1 || size > LARGEST_PLAIN || message[0] !== RECORD) throw new Trouble("broken");
    const sealed = message.slice(1, -TAG_BYTES);
    const tag = (await hmac(this.macKey, sealed)).subarray(0, TAG_BYTES);
    const right = equal(tag, message.subarray(-TAG_BYTES));
    const sequence = sealed.slice(0, 4);
    if (!right || this.#sequence > LAST_SEQUENCE || !equal(sequence, uint32(this.#sequence)))
      throw new Trouble("broken");
    this.#sequence++;
    return this.#cipher(sequence, sealed.slice(4));
  }
}
