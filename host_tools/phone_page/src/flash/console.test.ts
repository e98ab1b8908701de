import { describe, expect, it } from "vitest";
import { readRun, readTold, shown } from "./console.ts";

const told = (more: object = {}) =>
  JSON.stringify({ bridge: "0123456789abcdef", code: REAL, phones: 0, owners: 0, ...more });
// 16 bytes of zeros.
const REAL = "00000-00000-00000-00000-00000-00";

describe("the raw prompt's answer", () => {
  it("is what was printed, when it is whole", () => {
    const whole = "OKa line\r\nanother\r\n\x04\x04>";
    for (let length = 0; length < whole.length; length++) expect(readRun(whole.slice(0, length))).toBeNull();
    expect(readRun(whole)).toBe("a line\r\nanother\r\n");
    expect(readRun(`raw REPL; CTRL-B to exit\r\n>${whole}`)).toBe("a line\r\nanother\r\n");
  });

  it("is nothing when the code failed", () => {
    expect(readRun("OKhalf\x04Traceback (most recent call last):\r\n\x04>")).toBe("");
  });
});

describe("the label", () => {
  it("is the last line, if it is an answer", () => {
    const label = { bridge: "0123456789abcdef", code: REAL, phones: 0, owners: 0 };
    expect(readTold(told())).toEqual(label);
    expect(readTold(`[12] app: something\r\n${told()}\r\n`)).toEqual(label);
    expect(readTold(told({ phones: null, owners: null }))).toEqual({ ...label, phones: null, owners: null });
  });

  it.each([
    ["bridge", ["", "0123456789abcde", "0123456789ABCDEF", "0123456789abcdefg", 1, null]],
    ["code", ["", "00000-00000-00000-00000-00000-01", "0000O-OOOOO", "00000", 1, null]],
    ["phones", [-1, 1.5, "1", undefined]],
    ["owners", [-1, true, {}, undefined]],
  ])("with another %s is none", (member, values) => {
    for (const value of values) expect(readTold(told({ [member]: value }))).toBeNull();
  });

  it("is nothing else that is said", () => {
    for (const said of ["", "\r\n", "null", "1", "[]", "{}", "Traceback", `${told()}\r\n>>> `, told().slice(1)]) {
      expect(readTold(said)).toBeNull();
    }
  });
});

describe("what is shown of the console", () => {
  it("is its last lines, and never a code", () => {
    expect(shown("one\r\n\r\ntwo\x1b[0m\r\nthree\nfour\nfive\n")).toBe("two[0m / three / four / five");
    for (const line of [`setup code: ${REAL}`, told(), "x ABCDE-FGHJK-M", "Setup something", `{"code": 1`]) {
      expect(shown(`before\n${line}\nafter`)).toBe("before / after");
    }
    expect(shown("x".repeat(500))).toHaveLength(100);
  });
});
