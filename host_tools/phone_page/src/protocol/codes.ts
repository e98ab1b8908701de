/** The text forms of setup codes and invites (SPEC 1). */
import type { Bytes } from "./bytes.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's base32
const CHECK_ALPHABET = ALPHABET + "*~$=U";
const CHECK_MODULUS = 37n;
const GROUP = 5; // symbols between two hyphens

export const SETUP_CODE_BYTES = 16;
export const INVITE_ID_BYTES = 8;
export const INVITE_BYTES = INVITE_ID_BYTES + 16;
/** With the check symbol, without hyphens. */
export const symbolsOf = (size: number): number => Math.ceil((8 * size) / 5) + 1;
/** Characters that a person may have typed; anything longer is not looked at. */
export const LONGEST_TEXT = 200;

/**
 * `length`: too few or too many symbols. `symbol`: one that a code cannot have, at `place`. `padding`: the symbol before
 * the last cannot be right. `check`: some symbol is mistaken. `link`: a link without a code or an invite in it.
 */
export type CodeReason = "length" | "symbol" | "padding" | "check" | "link";

/** A text that is no code. It never quotes the text. */
export class CodeError extends Error {
  override readonly name = "CodeError";
  /**
   * `kind`: what the text was read as. `expected` and `given`: symbols, for `length`; hyphens and spaces do not count.
   * `place`: which symbol it is, counted from 1; 0 where that says nothing.
   */
  constructor(
    readonly reason: CodeReason,
    readonly kind: "code" | "invite",
    readonly expected = 0,
    readonly given = 0,
    readonly place = 0,
  ) {
    super(reason);
  }
}

const numberOf = (bytes: Uint8Array): bigint => bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);

/** The text form, in groups of five. */
export function writeCode(bytes: Uint8Array): string {
  const number = numberOf(bytes);
  const count = symbolsOf(bytes.length) - 1;
  const padded = number << BigInt(5 * count - 8 * bytes.length);
  let text = "";
  for (let at = count - 1; at >= 0; at--) text += ALPHABET[Number((padded >> BigInt(5 * at)) & 31n)];
  text += CHECK_ALPHABET[Number(number % CHECK_MODULUS)];
  return text.match(new RegExp(`.{1,${GROUP}}`, "g"))?.join("-") ?? "";
}

/** What a reader passes over taken out of what was typed: one symbol for each character that counts. */
export function symbolsIn(text: string): string[] {
  return Array.from(text.replace(/[\s-]/g, "").toUpperCase());
}

function valueOf(symbol: string): number {
  return ALPHABET.indexOf(symbol === "O" ? "0" : symbol === "I" || symbol === "L" ? "1" : symbol);
}

function read(text: string, size: number, kind: "code" | "invite"): Bytes {
  const expected = symbolsOf(size);
  const symbols = symbolsIn(text.slice(0, LONGEST_TEXT));
  if (text.length > LONGEST_TEXT || symbols.length !== expected)
    throw new CodeError("length", kind, expected, symbols.length);
  const check = CHECK_ALPHABET.indexOf(symbols.pop() ?? "");
  let padded = 0n;
  symbols.forEach((symbol, at) => {
    const value = valueOf(symbol);
    if (value < 0) throw new CodeError("symbol", kind, expected, expected, at + 1);
    padded = (padded << 5n) | BigInt(value);
  });
  if (check < 0) throw new CodeError("symbol", kind, expected, expected, expected);
  const padding = BigInt(5 * (expected - 1) - 8 * size);
  if (padded & ((1n << padding) - 1n)) throw new CodeError("padding", kind, expected, expected, expected - 1);
  const number = padded >> padding;
  if (number % CHECK_MODULUS !== BigInt(check)) throw new CodeError("check", kind, expected, expected);
  return Uint8Array.from({ length: size }, (_, at) => Number((number >> BigInt(8 * (size - 1 - at))) & 255n));
}

/** The 16 bytes of a setup code as typed. Throws CodeError. */
export const readSetupCode = (text: string): Bytes => read(text, SETUP_CODE_BYTES, "code");

/** Invite id (8 bytes) and invite secret (16 bytes) of an invite as typed. Throws CodeError. */
export function readInvite(text: string): { id: Bytes; secret: Bytes } {
  const bytes = read(text, INVITE_BYTES, "invite");
  return { id: bytes.slice(0, INVITE_ID_BYTES), secret: bytes.slice(INVITE_ID_BYTES) };
}
