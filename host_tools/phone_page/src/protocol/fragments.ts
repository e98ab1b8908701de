/** Messages cut into fragments, and put together again in bounded memory (SPEC 2.1). */
import { type Bytes, join } from "./bytes.ts";
import { Trouble } from "./types.ts";

export const LARGEST_MESSAGE = 1024; // bytes
/** Bytes; with its header a fragment has at most 512, the most that a GATT value can have. */
export const LARGEST_PIECE = 511;
/** Bytes: what fits whatever the MTU is, as a browser does not tell it. */
export const SMALL_PIECE = 19;

const FIRST = 0x80;
const LAST = 0x40;
const NUMBER = 0x3f;

/** Cuts a message of 1 to 1024 bytes into pieces of `size`. Throws RangeError: a programmer's mistake. */
export function cut(message: Uint8Array, size = SMALL_PIECE): Bytes[] {
  if (message.length < 1 || message.length > LARGEST_MESSAGE || size < 1 || size > LARGEST_PIECE)
    throw new RangeError();
  const fragments: Bytes[] = [];
  for (let start = 0, number = 0; start < message.length; start += size, number++) {
    const header = (start ? 0 : FIRST) | (start + size < message.length ? 0 : LAST) | (number & NUMBER);
    fragments.push(join(Uint8Array.of(header), message.subarray(start, start + size)));
  }
  return fragments;
}

/** Puts fragments together again. */
export class Joiner {
  #message = new Uint8Array(LARGEST_MESSAGE);
  #size = 0;
  /** The number that must come; null: a first one must come. */
  #next: number | null = null;

  /** Takes one fragment; gives the message when it was the last. Throws Trouble `broken`: the session is over. */
  feed(fragment: Uint8Array): Bytes | null {
    const header = fragment[0] ?? 0;
    const piece = fragment.subarray(1);
    const number = header & NUMBER;
    const fits = header & FIRST ? this.#next === null && number === 0 : number === this.#next;
    if (piece.length < 1 || piece.length > LARGEST_PIECE || !fits || this.#size + piece.length > LARGEST_MESSAGE)
      throw new Trouble("broken");
    this.#message.set(piece, this.#size);
    this.#size += piece.length;
    this.#next = (number + 1) & NUMBER;
    if (!(header & LAST)) return null;
    const message = this.#message.slice(0, this.#size);
    this.#size = 0;
    this.#next = null;
    return message;
  }
}
