/** Bytes as WebCrypto takes them: never a view of shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;

export function join(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const utf8 = (text: string): Bytes => new TextEncoder().encode(text);

/** Lower case, two digits a byte. */
export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether `text` is the hex of `size` bytes, as SPEC writes it. */
export const isHex = (text: unknown, size: number): text is string =>
  typeof text === "string" && text.length === 2 * size && /^[0-9a-f]*$/.test(text);

/** The bytes of hex that `isHex` is true of. Throws RangeError: a programmer's mistake. */
export function fromHex(text: string): Bytes {
  if (text.length % 2 || !isHex(text, text.length / 2)) throw new RangeError("no hex");
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** 0..2^32-1 as four bytes, big-endian. */
export function uint32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Compares in a time that does not depend on where they differ. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  let differing = one.length ^ other.length;
  for (let at = 0; at < one.length; at++) differing |= (one[at] ?? 0) ^ (other[at] ?? 0);
  return differing === 0;
}
