import { expect, test } from "vitest";
import { fromHex, hex, join, uint32, utf8 } from "./bytes.ts";
import { Handshake } from "./handshake.ts";
import { hmac, importHmac, importSecret } from "./keys.ts";
import { Direction, LARGEST_PLAIN } from "./records.ts";
import { keysOf } from "./testing/bridge.ts";
import { Random } from "./testing/random.ts";
import { vectors } from "./testing/vectors.ts";
import type { Credential } from "./types.ts";

const trouble = (kind: string) => expect.objectContaining({ name: "Trouble", kind });
type Vector = (typeof vectors.handshakes)[number];

/** RFC 8410's form of a private key. */
async function pairOf(vector: Vector): Promise<CryptoKeyPair> {
  const pkcs8 = fromHex(`302e020100300506032b656e04220420${vector.phone_private}`);
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", false, ["deriveBits"]);
  const raw = fromHex(vector.hello.slice(-64));
  return { privateKey, publicKey: await crypto.subtle.importKey("raw", raw, "X25519", true, []) };
}

async function credentialOf(vector: Vector): Promise<Credential> {
  const secret = await importSecret(fromHex(vector.secret));
  if (vector.mode === 1) return { mode: "setup-code", secret };
  return { mode: vector.mode === 2 ? "phone-key" : "invite", id: vector.key_id, secret };
}

const begin = async (vector: Vector) =>
  Handshake.begin(await credentialOf(vector), fromHex(vector.phone_nonce), await pairOf(vector));

test.each(vectors.handshakes)("$what: the handshake and its records, both ways", async (vector) => {
  const handshake = await begin(vector);
  expect(hex(handshake.hello)).toBe(vector.hello);
  expect(hex(await handshake.prove(fromHex(vector.challenge), vector.bridge_id))).toBe(vector.proof);
  const [to, from] = await handshake.accept(fromHex(vector.accept));
  for (const { plain, message } of vector.phone_to_bridge) expect(hex(await to.seal(fromHex(plain)))).toBe(message);
  for (const { plain, message } of vector.bridge_to_phone) expect(hex(await from.open(fromHex(message)))).toBe(plain);
});

test.each(vectors.handshakes)("$what: the bridge of these tests agrees with the vectors", async (vector) => {
  const [secret, hello, challenge, shared] = [vector.secret, vector.hello, vector.challenge, vector.shared].map(
    fromHex,
  );
  const { h, p, k } = await keysOf(secret!, hello!, challenge!, shared!);
  expect([hex(h), hex(p), hex(k)]).toEqual([vector.h, vector.p, vector.k]);
  const outward = await Direction.of(k.slice(112, 128), k.slice(128, 160));
  const inward = await Direction.of(k.slice(64, 80), k.slice(80, 112));
  for (const { plain, message } of vector.bridge_to_phone)
    expect(hex(await outward.seal(fromHex(plain)))).toBe(message);
  for (const { plain, message } of vector.phone_to_bridge) expect(hex(await inward.open(fromHex(message)))).toBe(plain);
});

const vector = vectors.handshakes[0]!;
const changed = (text: string, at: number) => {
  const bytes = fromHex(text);
  bytes[at]! ^= 1;
  return bytes;
};

test("two handshakes have nothing in common", async () => {
  const credential = await credentialOf(vector);
  const [one, other] = [await Handshake.begin(credential), await Handshake.begin(credential)];
  expect(hex(one.hello.slice(0, 11))).toBe(hex(other.hello.slice(0, 11)));
  for (const [from, to] of [
    [11, 27],
    [27, 59],
  ])
    expect(hex(one.hello.slice(from, to))).not.toBe(hex(other.hello.slice(from, to)));
  expect(one.hello).toHaveLength(59);
});

test.each([
  ["type", 0, "broken"],
  ["version", 1, "older-bridge"],
  ["bridge id", 2, "another-bridge"],
  ["bridge id's end", 9, "another-bridge"],
])("a CHALLENGE with another %s is refused", async (_, at, kind) => {
  const handshake = await begin(vector);
  await expect(handshake.prove(changed(vector.challenge, at), vector.bridge_id)).rejects.toEqual(trouble(kind));
});

test("a CHALLENGE of another length is refused", async () => {
  const handshake = await begin(vector);
  for (const bytes of [fromHex(vector.challenge + "00"), fromHex(vector.challenge.slice(2)), new Uint8Array()])
    await expect(handshake.prove(bytes, vector.bridge_id)).rejects.toEqual(trouble("broken"));
});

test.each([10, 26, 57])(
  "a CHALLENGE changed at byte %d gives another proof, and its ACCEPT is not believed",
  async (at) => {
    const handshake = await begin(vector);
    expect(hex(await handshake.prove(changed(vector.challenge, at), vector.bridge_id))).not.toBe(vector.proof);
    await expect(handshake.accept(fromHex(vector.accept))).rejects.toEqual(trouble("unproven"));
  },
);

const small = vectors.bad_hellos.filter((one) => one.what.startsWith("a public key of small order"));
test.each(small)("$what is refused by the phone, too", async ({ hello }) => {
  const handshake = await begin(vector);
  const challenge = fromHex(vector.challenge.slice(0, 52) + hello.slice(-64));
  await expect(handshake.prove(challenge, vector.bridge_id)).rejects.toEqual(trouble("unproven"));
});
test("there are such keys among the vectors", () => expect(small.length).toBeGreaterThan(10));

test("an ACCEPT that is not right in each bit is not believed", async () => {
  for (const at of [1, 16, 32]) {
    const handshake = await begin(vector);
    await handshake.prove(fromHex(vector.challenge), vector.bridge_id);
    await expect(handshake.accept(changed(vector.accept, at))).rejects.toEqual(trouble("unproven"));
    await expect(handshake.accept(fromHex(vector.accept))).rejects.toEqual(trouble("broken")); // one try
  }
});

test("what is no ACCEPT is refused, and one before the proof", async () => {
  for (const bytes of [changed(vector.accept, 0), fromHex(vector.accept + "00"), fromHex(vector.accept.slice(0, -2))]) {
    const handshake = await begin(vector);
    await handshake.prove(fromHex(vector.challenge), vector.bridge_id);
    await expect(handshake.accept(bytes)).rejects.toEqual(trouble("broken"));
  }
  await expect((await begin(vector)).accept(fromHex(vector.accept))).rejects.toEqual(trouble("broken"));
});

test("another secret gives another proof", async () => {
  const other: Credential = { mode: "setup-code", secret: await importHmac(new Uint8Array(16)) };
  const handshake = await Handshake.begin(other, fromHex(vector.phone_nonce), await pairOf(vector));
  expect(hex(handshake.hello)).toBe(vector.hello);
  expect(hex(await handshake.prove(fromHex(vector.challenge), vector.bridge_id))).not.toBe(vector.proof);
});

const direction = () => Direction.of(new Uint8Array(16), new Uint8Array(32));

test.each([1, LARGEST_PLAIN])("a record of %d bytes", async (bytes) => {
  const [to, from] = [await direction(), await direction()];
  const plain = new Random(bytes).bytes(bytes);
  expect(await from.open(await to.seal(plain))).toEqual(plain);
});

test.each([0, LARGEST_PLAIN + 1])("no record of %d bytes", async (bytes) => {
  await expect((await direction()).seal(new Uint8Array(bytes))).rejects.toThrow(RangeError);
});

test.each([0, LARGEST_PLAIN + 1])("a record of %d bytes is refused, though its tag is right", async (bytes) => {
  const sealed = new Uint8Array(4 + bytes);
  const tag = await hmac(await importHmac(new Uint8Array(32)), sealed);
  const message = join(Uint8Array.of(4), sealed, tag.subarray(0, 16));
  await expect((await direction()).open(message)).rejects.toEqual(trouble("broken"));
});

test("a record with any bit changed is refused, and costs nothing of the sequence", async () => {
  const [to, from] = [await direction(), await direction()];
  const message = await to.seal(utf8("{}"));
  for (let bit = 0; bit < 8 * message.length; bit++) {
    const other = message.slice();
    other[bit >> 3]! ^= 1 << (bit & 7);
    await expect(from.open(other)).rejects.toEqual(trouble("broken"));
  }
  expect(await from.open(message)).toEqual(utf8("{}"));
});

test("a record twice, or one left out, is refused", async () => {
  const [to, from] = [await direction(), await direction()];
  const [first, second, third] = [await to.seal(utf8("1")), await to.seal(utf8("2")), await to.seal(utf8("3"))];
  await from.open(first);
  await expect(from.open(first)).rejects.toEqual(trouble("broken"));
  await expect(from.open(third)).rejects.toEqual(trouble("broken"));
  await from.open(second);
});

test("random bytes are no record", async () => {
  const [random, from] = [new Random(4), await direction()];
  for (let turn = 0; turn < 500; turn++) {
    const bytes = random.bytes(random.below(1100));
    if (bytes.length && random.below(4)) bytes[0] = 4;
    if (bytes.length > 5 && random.below(2)) bytes.set(uint32(0), 1);
    await expect(from.open(bytes)).rejects.toEqual(trouble("broken"));
  }
});
