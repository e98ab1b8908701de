import { expect, test } from "vitest";
import { fromHex, hex } from "./bytes.ts";
import { claimProof, isAnswer, openProof } from "./claims.ts";
import { importPhoneKey } from "./keys.ts";
import { vectors } from "./testing/vectors.ts";

const keyOf = async (bytes: string) => (await importPhoneKey(fromHex(bytes))).claimKey;

test.each(vectors.claims)("a claim of $addr $mac", async (v) => {
  const key = await keyOf(v.phone_key);
  expect(await claimProof(key, v.bridge, v.phone, v.challenge, v.addr, v.mac)).toBe(v.proof);
  expect(await isAnswer(key, "claim", v.challenge, v.lease_s, v.answer)).toBe(true);
  expect(await isAnswer(key, "open", v.challenge, v.lease_s, v.answer)).toBe(false);
  expect(await isAnswer(key, "claim", v.challenge, v.lease_s + 1, v.answer)).toBe(false);
  expect(await isAnswer(key, "claim", v.bridge + v.bridge, v.lease_s, v.answer)).toBe(false);
});

test.each(vectors.opens)("a request to open", async (v) => {
  const key = await keyOf(v.phone_key);
  expect(await openProof(key, v.bridge, v.phone, v.challenge)).toBe(v.proof);
  expect(await isAnswer(key, "open", v.challenge, v.open_s, v.answer)).toBe(true);
  expect(await isAnswer(key, "claim", v.challenge, v.open_s, v.answer)).toBe(false);
});

test("without address and MAC, as a browser claims", async () => {
  const v = vectors.claims.find((one) => !one.addr && !one.mac)!;
  expect(await claimProof(await keyOf(v.phone_key), v.bridge, v.phone, v.challenge)).toBe(v.proof);
});

test("what is no answer is none, and throws nothing", async () => {
  const v = vectors.opens[0]!;
  const key = await keyOf(v.phone_key);
  for (const seconds of [-1, 0.5, 2 ** 32, NaN, "300", null, undefined, {}])
    expect(await isAnswer(key, "open", v.challenge, seconds, v.answer)).toBe(false);
  for (const seconds of [v.open_s - 2 ** 32, v.open_s + 2 ** 32])
    // the same in 32 bits
    expect(await isAnswer(key, "open", v.challenge, seconds, v.answer)).toBe(false);
  for (const answer of ["", v.answer.toUpperCase(), v.answer + "00", v.answer.slice(2), 1, null, undefined, [], {}])
    expect(await isAnswer(key, "open", v.challenge, v.open_s, answer)).toBe(false);
});

test("addresses and MACs of another form are refused", async () => {
  const v = vectors.claims[0]!;
  const key = await keyOf(v.phone_key);
  for (const addr of ["1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "a.b.c.d", "1.2.3.-1", "1.2.3. 4"])
    await expect(claimProof(key, v.bridge, v.phone, v.challenge, addr)).rejects.toThrow(RangeError);
  for (const mac of ["02:00", "02-00-00-00-00-01", "02:00:00:00:00:0G", "02:00:00:00:00:01:02"])
    await expect(claimProof(key, v.bridge, v.phone, v.challenge, "", mac)).rejects.toThrow(RangeError);
});

test("a phone key is imported twice, cannot be read out, and its bytes are gone", async () => {
  const bytes = new Uint8Array(32).fill(7);
  const { sessionKey, claimKey } = await importPhoneKey(bytes);
  expect(hex(bytes)).toBe("00".repeat(32));
  expect([sessionKey.extractable, claimKey.extractable]).toEqual([false, false]);
  await expect(crypto.subtle.exportKey("raw", sessionKey)).rejects.toThrow();
  await expect(crypto.subtle.exportKey("raw", claimKey)).rejects.toThrow();
});
