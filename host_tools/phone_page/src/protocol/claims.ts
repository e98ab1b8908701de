/** Proofs over HTTP (SPEC 3): a phone claims its place on the dorm's network, an owner has Bluetooth opened. */
import { type Bytes, fromHex, hex, isHex, join, uint32, utf8 } from "./bytes.ts";
import { hmac, subtle } from "./keys.ts";

export type Purpose = "claim" | "open";

/** The key of one purpose, made of a KnownBridge's `claimKey`. */
async function keyFor(claimKey: CryptoKey, purpose: Purpose): Promise<CryptoKey> {
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8(`speakeasy ${purpose} 1`) };
  const made = { name: "HMAC", hash: "SHA-256", length: 256 };
  return subtle().deriveKey(how, claimKey, made, false, ["sign", "verify"]);
}

/** The four bytes of "a.b.c.d"; zeros for "". Throws RangeError for anything else. */
function four(addr: string): Bytes {
  if (addr === "") return new Uint8Array(4);
  const parts = addr.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256))
    throw new RangeError("no address");
  return Uint8Array.from(parts, Number);
}

/** The six bytes of "aa:bb:cc:dd:ee:ff"; zeros for "". Throws RangeError for anything else. */
function six(mac: string): Bytes {
  if (mac === "") return new Uint8Array(6);
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) throw new RangeError("no MAC");
  return fromHex(mac.replaceAll(":", ""));
}

/**
 * The proof (hex) for `POST /claim`. `bridge`, `phone` and `challenge` are hex, 8, 8 and 16 bytes. A browser knows neither
 * its machine's address nor its MAC: both are "" then. Throws RangeError for what has another form.
 */
export async function claimProof(
  claimKey: CryptoKey,
  bridge: string,
  phone: string,
  challenge: string,
  addr = "",
  mac = "",
): Promise<string> {
  const data = join(fromHex(bridge), fromHex(phone), fromHex(challenge), four(addr), six(mac));
  return hex(await hmac(await keyFor(claimKey, "claim"), data));
}

/** The proof (hex) for `POST /open`. */
export async function openProof(
  claimKey: CryptoKey,
  bridge: string,
  phone: string,
  challenge: string,
): Promise<string> {
  const data = join(fromHex(bridge), fromHex(phone), fromHex(challenge));
  return hex(await hmac(await keyFor(claimKey, "open"), data));
}

/**
 * Whether `answer` is that of a bridge that knows this phone's key. `seconds`: what it answered as `lease_s` or `open_s`.
 * Both may be anybody's: false for whatever is malformed.
 */
export async function isAnswer(
  claimKey: CryptoKey,
  purpose: Purpose,
  challenge: string,
  seconds: unknown,
  answer: unknown,
): Promise<boolean> {
  if (typeof seconds !== "number" || !Number.isInteger(seconds) || seconds < 0 || seconds > 0xffffffff) return false;
  if (!isHex(answer, 32)) return false;
  const data = join(utf8("answer"), fromHex(challenge), uint32(seconds));
  return subtle().verify("HMAC", await keyFor(claimKey, purpose), fromHex(answer), data);
}
