// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, expect, it, vi } from "vitest";
import { texts } from "../texts.ts";
import { LabelScreen, linkOf } from "./label.tsx";

const CODE = "00000-00000-00000-00000-00000-00";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it.each([
  ["is paired with at once", 0, true, true],
  ["is paired with by whoever has Bluetooth", 0, false, false],
  ["that has an owner is not", 1, true, false],
  ["of which nobody knows is", null, true, true],
])("a bridge %s", (_what, owners, bluetooth, offered) => {
  vi.stubGlobal("navigator", { userAgent: "", ...(bluetooth ? { bluetooth: {} } : {}) });
  const paired: string[] = [];
  const told = { bridge: "0123456789abcdef", code: CODE, phones: owners, owners };
  render(<LabelScreen told={told} flashed onPair={(code) => paired.push(code)} onAnother={() => {}} />);
  const button = screen.queryByRole("button", { name: texts.flash.pair });
  expect(button !== null).toBe(offered);
  if (button) fireEvent.click(button);
  expect(paired).toEqual(offered ? [CODE] : []);
  expect(screen.getByRole("img", { name: texts.flash.label("0123456789abcdef") }).textContent).toContain("00000-00000");
});

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
