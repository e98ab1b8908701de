import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { md5 } from "./md5.ts";

it("is that of RFC 1321, at every length around a block", () => {
  expect(md5(new Uint8Array(0))).toBe("d41d8cd98f00b204e9800998ecf8427e");
  expect(md5(new TextEncoder().encode("message digest"))).toBe("f96b697d7cb7938d525a2f31aaf161d0");
  for (const length of [...Array(130).keys(), 4095, 4096, 70_001]) {
    const data = Uint8Array.from({ length }, (_, k) => (k * 167 + (k >> 8)) & 255);
    expect(md5(data), `${length}`).toBe(createHash("md5").update(data).digest("hex"));
  }
});
