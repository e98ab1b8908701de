import { afterEach, describe, expect, it, vi } from "vitest";
import { load, offers, readManifest } from "./manifest.ts";
import { firmware, type Row } from "./testing/images.ts";

const PAGE = "https://host.example/some/folder/index.html";
const OFFER = {
  name: "ESP32-S3",
  chip: "esp32s3",
  flash_size: 8 << 20,
  file: "ESP32_S3.bin",
  sha256: "0".repeat(64),
} as const;
const ROWS: Row[] = [
  [0, 0x10000, 0x1e0000],
  [1, 0x3d0000, 0x30000],
];

const manifest = (...list: unknown[]) => JSON.stringify({ firmware: list });

/** A host that has these files; what it was asked for. */
function hosted(files: Record<string, BodyInit>): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: URL, options: RequestInit) => {
    expect(options).toEqual({ redirect: "error", credentials: "omit", cache: "no-cache" });
    asked.push(url.href);
    const body = files[url.href];
    return body === undefined ? new Response("", { status: 404 }) : new Response(body);
  });
  return asked;
}

afterEach(() => vi.unstubAllGlobals());

describe("the manifest", () => {
  it("offers what it lists", () => {
    expect(readManifest(manifest(OFFER))).toEqual([OFFER]);
    expect(readManifest(manifest({ ...OFFER, note: "of next year" }))).toHaveLength(1);
  });

  it.each([
    ["name", [undefined, "", "n".repeat(81), 1]],
    ["chip", [undefined, "esp8266", "toString", 9]],
    ["flash_size", [undefined, 0, -1, 1.5, "8MB", Infinity]],
    [
      "file",
      [
        undefined,
        "",
        "../x.bin",
        "/x.bin",
        "a/x.bin",
        "a\\x.bin",
        "https://elsewhere.example/x.bin",
        "//elsewhere.example/x.bin",
        ".hidden",
        "x%2fy",
        "x?y",
        "x".repeat(81),
      ],
    ],
    ["sha256", [undefined, "", "0".repeat(63), "0".repeat(65), "G".repeat(64), "A".repeat(64)]],
  ])("leaves out what has a wrong %s", (member, values) => {
    for (const value of values) expect(readManifest(manifest({ ...OFFER, [member]: value }, OFFER))).toEqual([OFFER]);
  });

  it("that is none offers nothing", () => {
    for (const text of ["", "{", "null", "[]", "1", '{"firmware": {}}', '{"firmware": [null, 1, "x", []]}']) {
      expect(readManifest(text)).toEqual([]);
    }
  });

  it("has 64 lines at most", () => {
    for (const [has, offers] of [
      [63, 63],
      [64, 64],
      [65, 64],
    ] as const) {
      expect(readManifest(manifest(...Array<unknown>(has).fill(OFFER)))).toHaveLength(offers);
    }
  });

  it("is beside the page, and nowhere else", async () => {
    const asked = hosted({ "https://host.example/some/folder/firmware/manifest.json": manifest(OFFER) });
    expect(await offers(PAGE)).toEqual([OFFER]);
    expect(asked).toEqual(["https://host.example/some/folder/firmware/manifest.json"]);
    hosted({});
    expect(await offers(PAGE)).toEqual([]);
  });

  it("that is longer than 64 KiB is not read", async () => {
    const text = manifest(OFFER);
    for (const [length, count] of [
      [65535, 1],
      [65536, 1],
      [65537, 0],
    ] as const) {
      hosted({ "https://host.example/some/folder/firmware/manifest.json": text.padEnd(length) });
      expect(await offers(PAGE)).toHaveLength(count);
    }
  });
});

describe("an offer", () => {
  const at = "https://host.example/some/folder/firmware/ESP32_S3.bin";
  const sum = async (data: Uint8Array<ArrayBuffer>) =>
    Buffer.from(await crypto.subtle.digest("SHA-256", data)).toString("hex");

  it("is loaded if it is what the manifest says", async () => {
    const data = await firmware(9, 2, ROWS);
    const asked = hosted({ [at]: data });
    const image = await load({ ...OFFER, sha256: await sum(data) }, PAGE);
    expect(image).toEqual({ name: "ESP32-S3", chip: "esp32s3", flashSize: 8 << 20, offset: 0, data });
    expect(asked).toEqual([at]);
  });

  it("that is not there, or was changed, or is for another chip is refused", async () => {
    const data = await firmware(9, 2, ROWS);
    const sha256 = await sum(data);
    hosted({});
    await expect(load({ ...OFFER, sha256 }, PAGE)).rejects.toMatchObject({ kind: "not-loaded" });
    hosted({ [at]: data.slice(0, -1) });
    await expect(load({ ...OFFER, sha256 }, PAGE)).rejects.toMatchObject({ kind: "changed" });
    hosted({ [at]: data });
    await expect(load({ ...OFFER, chip: "esp32c3", sha256 }, PAGE)).rejects.toMatchObject({ kind: "changed" });
  });
});
