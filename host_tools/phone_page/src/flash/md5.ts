/** MD5 (RFC 1321), which the chip's loader sums the flash with, and WebCrypto does not have. No safety hangs on it. */

const TURNS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Array.from({ length: 64 }, (_, k) => Math.floor(Math.abs(Math.sin(k + 1)) * 2 ** 32) | 0);

/** In hex. */
export function md5(data: Uint8Array): string {
  const padded = new Uint8Array(((data.length + 8) & ~63) + 64);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, data.length << 3, true);
  view.setUint32(padded.length - 4, data.length >>> 29, true);
  const state = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476];
  const words = new Int32Array(16);
  for (let at = 0; at < padded.length; at += 64) {
    for (let k = 0; k < 16; k++) words[k] = view.getInt32(at + 4 * k, true);
    let [a, b, c, d] = state as [number, number, number, number];
    for (let k = 0; k < 64; k++) {
      const round = k >> 4;
      const mixed =
        round === 0 ? (b & c) | (~b & d) : round === 1 ? (d & b) | (~d & c) : round === 2 ? b ^ c ^ d : c ^ (b | ~d);
      const word = round === 0 ? k : round === 1 ? 5 * k + 1 : round === 2 ? 3 * k + 5 : 7 * k;
      const sum = (a + mixed + SINES[k]! + words[word & 15]!) | 0;
      const turn = TURNS[4 * round + (k & 3)]!;
      [a, d, c, b] = [d, c, b, (b + ((sum << turn) | (sum >>> (32 - turn)))) | 0];
    }
    [a, b, c, d].forEach((value, k) => (state[k] = (state[k]! + value) | 0));
  }
  const out = new DataView(new ArrayBuffer(16));
  state.forEach((value, k) => out.setInt32(4 * k, value, true));
  return Array.from(new Uint8Array(out.buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
