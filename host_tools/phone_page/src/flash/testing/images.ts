/** Images as ESP-IDF makes them, for tests. */

export async function application(chipId: number, sizeCode: number, body: Uint8Array, hashed = true) {
  const header = new Uint8Array(24);
  header.set([0xe9, 1, 2, sizeCode << 4]);
  header[12] = chipId;
  header[23] = hashed ? 1 : 0;
  const segment = new Uint8Array(8);
  new DataView(segment.buffer).setUint32(4, body.length, true);
  const plain = join(header, segment, body);
  const data = join(plain, new Uint8Array(16 - (plain.length % 16)));
  return hashed ? join(data, new Uint8Array(await crypto.subtle.digest("SHA-256", data))) : data;
}

/** Type, offset, size. */
export type Row = [number, number, number];

export function table(...rows: Row[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(0xc00).fill(0xff);
  const view = new DataView(bytes.buffer);
  rows.forEach(([type, offset, size], k) => {
    view.setUint16(32 * k, 0x50aa, true);
    view.setUint8(32 * k + 2, type);
    view.setUint32(32 * k + 4, offset, true);
    view.setUint32(32 * k + 8, size, true);
  });
  return bytes;
}

export function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bootloader, table at 0x8000 and application at 0x10000 of the flash, from `offset` on. */
export async function firmware(chipId: number, sizeCode: number, rows: Row[], offset = 0) {
  const whole = new Uint8Array(0x10000 - offset).fill(0xff);
  whole.set(await application(chipId, sizeCode, new Uint8Array(300)));
  whole.set(table(...rows), 0x8000 - offset);
  return join(whole, await application(chipId, sizeCode, new Uint8Array(5000).fill(7)));
}
