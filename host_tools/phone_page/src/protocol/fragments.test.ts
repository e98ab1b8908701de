import { expect, test } from "vitest";
import { fromHex, hex } from "./bytes.ts";
import { cut, Joiner, LARGEST_MESSAGE, LARGEST_PIECE, SMALL_PIECE } from "./fragments.ts";
import { Random } from "./testing/random.ts";
import { vectors } from "./testing/vectors.ts";
import { Trouble } from "./types.ts";

const broken = expect.objectContaining({ name: "Trouble", kind: "broken" });
const size = (mtu: number) => Math.min(mtu - 4, LARGEST_PIECE);
const message = (bytes: number) => new Uint8Array(bytes).fill(0x55);

test.each(vectors.fragments)("a message cut at MTU $mtu, and joined", ({ mtu, message, fragments }) => {
  expect(cut(fromHex(message), size(mtu)).map(hex)).toEqual(fragments);
  const joiner = new Joiner();
  const joined = fragments.map((fragment) => joiner.feed(fromHex(fragment)));
  expect(joined.slice(0, -1).every((one) => one === null)).toBe(true);
  expect(hex(joined.at(-1)!)).toBe(message);
});

test.each(vectors.bad_fragments)("$what ends the session", ({ fragments }) => {
  const joiner = new Joiner();
  for (const fragment of fragments.slice(0, -1)) expect(joiner.feed(fromHex(fragment))).toBeNull();
  expect(() => joiner.feed(fromHex(fragments.at(-1)!))).toThrow(broken);
});

test("pieces are small unless told", () => {
  expect(cut(message(20)).map((one) => one.length)).toEqual([1 + SMALL_PIECE, 2]);
});

test.each([1, SMALL_PIECE, SMALL_PIECE + 1, LARGEST_MESSAGE])("a message of %d bytes, then another", (bytes) => {
  const joiner = new Joiner();
  for (let turn = 0; turn < 2; turn++) {
    const joined = cut(message(bytes)).map((fragment) => joiner.feed(fragment));
    expect(joined.at(-1)).toEqual(message(bytes));
  }
});

test("numbers begin again after 63", () => {
  const joiner = new Joiner();
  const fragments = cut(message(LARGEST_MESSAGE), 7);
  expect(fragments.length).toBeGreaterThan(2 * 64);
  expect(fragments.map((fragment) => joiner.feed(fragment)).at(-1)).toEqual(message(LARGEST_MESSAGE));
});

test.each([
  [0, SMALL_PIECE],
  [LARGEST_MESSAGE + 1, SMALL_PIECE],
  [1, 0],
  [1, LARGEST_PIECE + 1],
])("no message of %d bytes is cut at %d", (bytes, at) => {
  expect(() => cut(message(bytes), at)).toThrow(RangeError);
});

test("pieces up to 511 bytes are taken", () => {
  const joiner = new Joiner();
  expect(joiner.feed(new Uint8Array(1 + LARGEST_PIECE).fill(0xc0))).toHaveLength(LARGEST_PIECE);
  expect(() => joiner.feed(new Uint8Array(2 + LARGEST_PIECE).fill(0xc0))).toThrow(broken);
});

test("a joined message is not a view of what the joiner goes on with", () => {
  const joiner = new Joiner();
  const first = joiner.feed(fromHex("c001"))!;
  joiner.feed(fromHex("c002"));
  expect(hex(first)).toBe("01");
});

test("random fragments are messages or Trouble, never more than the largest message", () => {
  const random = new Random(21);
  let [messages, troubles] = [0, 0];
  for (let turn = 0; turn < 4000; turn++) {
    const joiner = new Joiner();
    try {
      for (let number = 0; number < 80; number++) {
        // Mostly right, so that long messages come about.
        const header = random.below(40)
          ? (number ? 0 : 0x80) | (random.below(20) ? 0 : 0x40) | (number & 0x3f)
          : random.below(256);
        const fragment = random.bytes(random.below(30) ? 1 + random.below(60) : random.below(600));
        if (fragment.length) fragment[0] = header;
        const joined = joiner.feed(fragment);
        if (!joined) continue;
        messages++;
        expect(joined.length).toBeLessThanOrEqual(LARGEST_MESSAGE);
        break;
      }
    } catch (error) {
      expect(error).toBeInstanceOf(Trouble);
      troubles++;
    }
  }
  expect(Math.min(messages, troubles)).toBeGreaterThan(100);
});
