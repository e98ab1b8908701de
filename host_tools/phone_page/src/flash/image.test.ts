import { describe, expect, it } from "vitest";
import { readImage } from "./image.ts";
import { application, firmware, type Row } from "./testing/images.ts";

const MB = 1 << 20;
const ROWS: Row[] = [
  [1, 0x9000, 0x4000],
  [0, 0x10000, 0x1e0000],
  [1, 0x3d0000, 0x30000],
];

const refusal = async (data: Uint8Array<ArrayBuffer>) =>
  readImage("firmware.bin", data).then(
    () => "taken",
    (error: { kind: string }) => error.kind,
  );

describe("an image", () => {
  it.each([
    ["esp32", 0, 0x1000],
    ["esp32s3", 9, 0],
    ["esp32c3", 5, 0],
    ["esp32c6", 13, 0],
  ] as const)("of the %s goes where its bootloader does", async (chip, id, offset) => {
    const data = await firmware(id, 2, ROWS, offset);
    expect(await readImage("a name", data)).toEqual({ name: "a name", chip, offset, flashSize: 4 * MB, data });
  });

  it("needs what its header says, or its partitions, whichever is more", async () => {
    expect((await readImage("", await firmware(9, 4, ROWS))).flashSize).toBe(16 * MB);
    expect((await readImage("", await firmware(9, 1, ROWS))).flashSize).toBe(4 * MB);
    expect((await readImage("", await firmware(9, 1, [...ROWS, [1, 0x400000, 1]]))).flashSize).toBe(4 * MB + 1);
  });

  it("of a chip that no board of ours has is refused", async () => {
    for (const id of [2, 12, 16, 0xff]) expect(await refusal(await firmware(id, 2, ROWS))).toBe("other-chip");
  });

  it("is no other file", async () => {
    for (const data of [
      new Uint8Array(0),
      new Uint8Array(100),
      new TextEncoder().encode("<!doctype html>".repeat(9)),
    ]) {
      expect(await refusal(data)).toBe("not-firmware");
    }
  });

  it("is not a part of a firmware", async () => {
    // An application alone, larger than any bootloader; a bootloader and a table without an application's place.
    expect(await refusal(await application(9, 3, new Uint8Array(200_000)))).toBe("part-of-firmware");
    expect(await refusal(await firmware(9, 3, [[1, 0x9000, 0x4000]]))).toBe("part-of-firmware");
    expect(await refusal(await firmware(9, 3, []))).toBe("part-of-firmware");
  });

  it("that was cut anywhere is refused", async () => {
    const data = await firmware(9, 3, ROWS);
    for (let length = 1; length < data.length; length += length < 400 ? 1 : 977) {
      expect(await refusal(data.slice(0, length)), `${length}`).toMatch(/cut|not-firmware|part-of-firmware/);
    }
    expect(await refusal(data.slice(0, -1))).toBe("cut");
    expect(await refusal(data)).toBe("taken");
  });

  it("of which a bit was changed is refused", async () => {
    const data = await firmware(9, 3, ROWS);
    data[0x10000 + 3000]! ^= 1;
    expect(await refusal(data)).toBe("cut");
  });

  it("whose headers lie is refused", async () => {
    const data = await firmware(9, 3, ROWS);
    const view = new DataView(data.buffer);
    for (const length of [0xffffffff, 0x7fffffff, data.length]) {
      view.setUint32(0x10000 + 28, length, true);
      expect(await refusal(data)).toBe("cut");
    }
    for (const offset of [0, 0xffffffff, data.length]) {
      expect(await refusal(await firmware(0, 2, [[0, offset, 1]], 0x1000))).toBe("cut");
    }
  });
});
