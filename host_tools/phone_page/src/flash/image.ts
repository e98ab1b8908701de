/**
 * The file that `make firmware` makes, build/BOARD/firmware.bin: bootloader, partition table and application, as they
 * stand in the flash from the bootloader on. Layouts: ESP-IDF's esp_app_format.h and esp_flash_partitions.h.
 */
import { CHIPS, type Chip } from "./chips.ts";
import { FlashTrouble } from "./trouble.ts";

/** `flashSize` and `offset` (of `data` in the flash) in bytes. */
export interface Image {
  name: string;
  chip: Chip;
  flashSize: number;
  offset: number;
  data: Uint8Array<ArrayBuffer>;
}

/** No flash that a board of ours has is larger; a file that is, is none of ours. */
export const LONGEST_IMAGE = 16 << 20;

const MAGIC = 0xe9;
const HEADER = 24;
const HASH_APPENDED = 23;
const SHA256 = 32;
const MOST_SEGMENTS = 16;
const TABLE_AT = 0x8000;
const TABLE_LENGTH = 0xc00;
const ENTRY = 32;
const ENTRY_MAGIC = 0x50aa;
const APPLICATION = 0;

interface Partition {
  type: number;
  offset: number;
  size: number;
}

/** What is to be written, of a file that was picked or fetched. Raises FlashTrouble. */
export async function readImage(name: string, data: Uint8Array<ArrayBuffer>): Promise<Image> {
  if (data.length < HEADER || data[0] !== MAGIC || data.length > LONGEST_IMAGE) throw new FlashTrouble("not-firmware");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const id = view.getUint16(12, true);
  const chip = (Object.keys(CHIPS) as Chip[]).find((chip) => CHIPS[chip].id === id);
  if (!chip) throw new FlashTrouble("other-chip");
  const offset = CHIPS[chip].offset;
  const bootloader = endOf(view, 0);
  if (bootloader === null || bootloader > TABLE_AT - offset) throw new FlashTrouble("part-of-firmware");
  if (data.length < TABLE_AT - offset + ENTRY) throw new FlashTrouble("cut");
  const partitions = readTable(view, TABLE_AT - offset);
  const application = partitions.find(({ type }) => type === APPLICATION);
  if (!application) throw new FlashTrouble("part-of-firmware");
  const start = application.offset - offset;
  if (start < 0 || start >= data.length) throw new FlashTrouble("cut");
  const end = endOf(view, start);
  if (end === null || end > data.length || !(await isWhole(data, start, end))) throw new FlashTrouble("cut");
  // The bootloader refuses a flash that is smaller than its header says; the table may want more than that.
  const needed = [1 << (20 + (data[3]! >> 4)), ...partitions.map(({ offset, size }) => offset + size)];
  return { name, chip, flashSize: Math.max(...needed), offset, data };
}

function readTable(view: DataView, at: number): Partition[] {
  const found: Partition[] = [];
  const end = Math.min(at + TABLE_LENGTH, view.byteLength);
  for (let entry = at; entry + ENTRY <= end && view.getUint16(entry, true) === ENTRY_MAGIC; entry += ENTRY) {
    found.push({
      type: view.getUint8(entry + 2),
      offset: view.getUint32(entry + 4, true),
      size: view.getUint32(entry + 8, true),
    });
  }
  return found;
}

/** Where the image that begins there ends, its checksum and digest included; null if none begins there. */
function endOf(view: DataView, start: number): number | null {
  if (start + HEADER > view.byteLength || view.getUint8(start) !== MAGIC) return null;
  const segments = view.getUint8(start + 1);
  if (segments > MOST_SEGMENTS) return null;
  let at = start + HEADER;
  for (let n = 0; n < segments; n++) {
    if (at + 8 > view.byteLength) return Infinity;
    at += 8 + view.getUint32(at + 4, true);
  }
  at = start + ((at - start) & ~15) + 16; // the checksum is the last byte of a group of 16
  return at + (view.getUint8(start + HASH_APPENDED) ? SHA256 : 0);
}

async function isWhole(data: Uint8Array<ArrayBuffer>, start: number, end: number): Promise<boolean> {
  if (!data[start + HASH_APPENDED]) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data.subarray(start, end - SHA256)));
  return digest.every((byte, k) => byte === data[end - SHA256 + k]);
}
