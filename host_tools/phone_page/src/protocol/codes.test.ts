import { describe, expect, test } from "vitest";
import { equal, fromHex, hex, join, utf8 } from "./bytes.ts";
import { CodeError, LONGEST_TEXT, readInvite, readSetupCode, writeCode } from "./codes.ts";
import { credentialOf, inFragment, isLocal, linkTo, LONGEST_LINK, read } from "./links.ts";
import { Random } from "./testing/random.ts";
import { vectors } from "./testing/vectors.ts";

const readAny = (text: string, size: number): string => {
  if (size === 16) return hex(readSetupCode(text));
  const { id, secret } = readInvite(text);
  return hex(join(id, secret));
};
const reasonOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof CodeError) return error.reason;
    throw error;
  }
  return "none";
};

test.each(vectors.codes)("$what is written and read", ({ bytes, text }) => {
  expect(writeCode(fromHex(bytes))).toBe(text);
  expect(readAny(text, bytes.length / 2)).toBe(bytes);
});

test.each(vectors.lenient_codes)("$what is read", ({ bytes, text }) => {
  expect(readAny(text, bytes.length / 2)).toBe(bytes);
});

test.each(vectors.bad_codes)("$what is refused: $reason", ({ kind, text, reason }) => {
  expect(reasonOf(() => (kind === "setup" ? readSetupCode(text) : readInvite(text)))).toBe(reason);
});

const setup = vectors.codes[0]!;
const invite = vectors.codes[1]!;

test("a code in spaces is read up to the longest text, and not beyond it", () => {
  const most = setup.text.padEnd(LONGEST_TEXT);
  expect(hex(readSetupCode(most))).toBe(setup.bytes);
  expect(reasonOf(() => readSetupCode(most + " "))).toBe("length");
});

test("a mistake has its place, and no error quotes the text", () => {
  const mistaken = setup.text.replace("M", "U");
  expect(() => readSetupCode(mistaken)).toThrow(
    expect.objectContaining({ reason: "symbol", kind: "code", place: 10, message: "symbol" }),
  );
  expect(() => readSetupCode("0")).toThrow(expect.objectContaining({ expected: 27, given: 1 }));
  expect(() => readInvite("0")).toThrow(expect.objectContaining({ expected: 40, given: 1, kind: "invite" }));
});

test("any one symbol changed is noticed", () => {
  const plain = setup.text.replaceAll("-", "");
  for (let at = 0; at < plain.length; at++)
    for (const other of "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U") {
      if (other === plain[at]) continue;
      expect(reasonOf(() => readSetupCode(plain.slice(0, at) + other + plain.slice(at + 1)))).not.toBe("none");
    }
});

test("random bytes are read as they were written", () => {
  const random = new Random(6);
  for (let turn = 0; turn < 200; turn++) {
    const bytes = random.bytes(turn % 2 ? 16 : 24);
    expect(readAny(writeCode(bytes), bytes.length)).toBe(hex(bytes));
  }
});

describe("links", () => {
  const code = { kind: "code", secret: fromHex(setup.bytes) };
  const invited = {
    kind: "invite",
    id: fromHex(invite.bytes.slice(0, 16)),
    secret: fromHex(invite.bytes.slice(16)),
  };

  test.each([
    setup.text,
    ` ${setup.text.toLowerCase()}\n`,
    `speakeasy:#code=${setup.text}`,
    `SPEAKEASY:#code=${setup.text}`,
    `https://example.org/folder/#code=${setup.text}`,
    `https://example.org/?a=b#x=1&code=${setup.text}&y`,
    `speakeasy:#code=${setup.text.replaceAll("-", "%2D")}`,
    `#code=${setup.text}`,
  ])("a setup code in %j", (text) => expect(read(text)).toEqual(code));

  test.each([
    invite.text,
    invite.text.replaceAll("-", " "),
    `speakeasy:#invite=${invite.text}`,
    `https://example.org/#invite=${invite.text}&code=${setup.text}`,
    linkTo("https://example.org/folder/index.html?q#old", "invite", invite.text),
  ])("an invite in %j", (text) => expect(read(text)).toEqual(invited));

  test("a link leads to the page's folder, what it gives in the fragment alone", () => {
    for (const page of ["a/b/", "a/b/?x=1#y", "a/b/index.html", "a/b/index.html?x#/index.html"])
      expect(linkTo(`https://example.org/${page}`, "invite", "AB*~$=U")).toBe(
        "https://example.org/a/b/#invite=AB*~$=U",
      );
    expect(linkTo("https://example.org/page.html", "code", "A")).toBe("https://example.org/page.html#code=A");
  });

  test("a link to a machine itself leads nobody else there", () => {
    expect(["localhost", "127.0.0.1", "[::1]", "x.localhost"].every(isLocal)).toBe(true);
    expect(["example.org", "localhost.example.org", "127.example.org"].some(isLocal)).toBe(false);
  });

  test.each(["*", "~", "$", "=", "U"])("the check symbol %s goes through a link", (check) => {
    const { text, bytes } = vectors.codes.find((one) => one.text.endsWith(check))!;
    for (const link of [linkTo("https://example.org/", "code", text), `speakeasy:#code=${encodeURIComponent(text)}`])
      expect(read(link)).toEqual({ kind: "code", secret: fromHex(bytes) });
  });

  test.each(["speakeasy:", "\n SPEAKEASY:", "speakeasy:#", "https://example.org/#what=1", "#", "#cod=1"])(
    "no code in %j",
    (text) => {
      expect(reasonOf(() => read(text))).toBe("link");
    },
  );

  test.each([
    [`#code=${setup.text.slice(0, -1)}`, "length"],
    ["#invite=%", "length"],
    ["#code=", "length"],
    [`#code=${setup.text.slice(0, -2)}%ZZ`, "length"],
    ["", "length"],
    ["hello", "length"],
  ])("%j is refused: %s", (text, reason) => expect(reasonOf(() => read(text))).toBe(reason));

  test("links are bounded", () => {
    const link = `#code=${setup.text}&pad=`;
    expect(read(link.padEnd(LONGEST_LINK, "x"))).toEqual(code);
    expect(reasonOf(() => read(link.padEnd(LONGEST_LINK + 1, "x")))).toBe("link");
    expect(inFragment(link.padEnd(LONGEST_LINK + 1, "x"))).toBeNull();
  });

  test("a page's own fragment", () => {
    expect(inFragment("")).toBeNull();
    expect(inFragment("#people")).toBeNull();
    expect(inFragment(`#code=${setup.text}`)).toEqual(code);
    expect(reasonOf(() => inFragment("#code=1"))).toBe("length");
  });

  test("random texts are codes or CodeErrors", () => {
    const random = new Random(7);
    const symbols = "0123456789abcUILO#=&%-* speakeasy:code invite\u0000\ud800Ö";
    for (let turn = 0; turn < 3000; turn++) {
      const text = Array.from({ length: random.below(60) }, () => symbols[random.below(symbols.length)]).join("");
      expect(["none", "length", "symbol", "padding", "check", "link"]).toContain(reasonOf(() => read(text)));
    }
  });

  test("a credential: its key cannot be read out, and its bytes are gone", async () => {
    const found = read(invite.text);
    expect(await credentialOf(found)).toMatchObject({
      mode: "invite",
      id: invite.bytes.slice(0, 16),
      secret: { extractable: false, usages: ["sign", "verify"] },
    });
    expect(hex(found.secret)).toBe("0".repeat(32));
    expect(await credentialOf(read(setup.text))).toMatchObject({ mode: "setup-code", secret: { extractable: false } });
  });
});

test("bytes", () => {
  expect(equal(utf8("ab"), utf8("ab"))).toBe(true);
  for (const other of ["", "a", "abc", "aB", "Ab"]) {
    expect(equal(utf8("ab"), utf8(other))).toBe(false);
    expect(equal(utf8(other), utf8("ab"))).toBe(false);
  }
  expect(hex(utf8("ä"))).toBe("c3a4");
  expect(() => fromHex("0")).toThrow(RangeError);
  expect(() => fromHex("0G")).toThrow(RangeError);
  expect(() => fromHex("AA")).toThrow(RangeError);
});
