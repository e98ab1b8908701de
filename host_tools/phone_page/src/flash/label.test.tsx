import { expect, it } from "vitest";
import { texts } from "../texts.ts";
import { linkOf } from "./label.tsx";

const CODE = "00000-00000-00000-00000-00000-00";

it("leads to the page where a phone can reach it", () => {
  expect(linkOf("https://host.example/folder/", CODE)).toBe(`https://host.example/folder/#code=${CODE}`);
  expect(linkOf("https://host.example/folder/index.html#x", CODE)).toBe(`https://host.example/folder/#code=${CODE}`);
  expect(linkOf("https://host.example:8443/?a=b", CODE)).toBe(`https://host.example:8443/#code=${CODE}`);
});

it("is Speakeasy's own where it cannot", () => {
  for (const page of ["http://localhost:7781/", "https://localhost/", "http://127.0.0.1:7781/", "http://[::1]:1/"]) {
    expect(linkOf(page, CODE)).toBe(`speakeasy:#code=${CODE}`);
  }
});

it("has words for everything that may be wrong", () => {
  for (const words of Object.values(texts.flash.trouble)) {
    const { what, next } = words({
      found: "ESP32",
      wanted: "ESP32-S3",
      has: 4 << 20,
      needs: 8 << 20,
      why: "so",
      linux: true,
    });
    expect(what).toMatch(/[^.]$/);
    expect(next).toMatch(/\S\.?.*/);
    expect(what + next).not.toMatch(/undefined|NaN/);
  }
});
