/** What first-minute screens make of values; no view in it. */
import { CodeError } from "../protocol/codes.ts";
import type { Network, UplinkState } from "../protocol/types.ts";
import { texts } from "../texts.ts";

const t = texts.firstMinute;

/** What is wrong with a code so far, in words. `whole`: the person says that it is. */
export function codeTrouble(error: unknown): string {
  if (!(error instanceof CodeError)) return t.codeCheck;
  switch (error.reason) {
    case "length":
      return t.codeLength(error.given, error.expected);
    case "symbol":
      return t.codeSymbol(error.place);
    case "link":
      return t.codeLink;
    default:
      return t.codeCheck;
  }
}

/** dBm at which the next bar is full: what phones show, about. */
const BARS = [-85, -75, -67, -55];

/** 0 to 4 bars. */
export const barsOf = (rssi: number): number => BARS.filter((least) => rssi >= least).length;

export const signalOf = (network: Network): string => t.signal[barsOf(network.rssi)]!;

const utf8 = (text: string) => new TextEncoder().encode(text).length;
/** The bounds are those of SPEC 2.4. */
export const isSsid = (text: string) => utf8(text) >= 1 && utf8(text) <= 32;
export const isWifiKey = (text: string) => /^[ -~]{8,63}$/.test(text);
export const isLoginText = (text: string) => utf8(text) >= 1 && utf8(text) <= 64;
export const isName = (text: string) => [...text].length >= 1 && [...text].length <= 32;
/** A MAC as people type it, as the bridge wants it. */
export const tidyMac = (text: string) => text.trim().toLowerCase().replaceAll("-", ":");
/** A machine's, not a group's. */
export const isMac = (text: string) => /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(text);

/** The name that everybody hears, where none was typed: of the user's only the part that says where the login is known. */
export function anonymous(user: string): string {
  const at = user.lastIndexOf("@");
  return at < 0 ? user : `anonymous${user.slice(at)}`;
}

const FAILURES: readonly string[] = ["wrong-key", "wrong-login", "no-network", "no-dhcp", "unusable-address", "failed"];
export type JoinFailure = keyof typeof t.joinFailed;

/** The words for how joining ended. */
export const failureWords = (state: UplinkState | "late") =>
  t.joinFailed[(state === "late" || FAILURES.includes(state) ? state : "failed") as JoinFailure];

/** A name for this device, as good as its browser tells. */
export function deviceName(userAgent: string): string {
  const found = (["Android", "iPhone", "iPad", "Mac", "Windows", "CrOS", "Linux"] as const).find((one) =>
    userAgent.includes(one),
  );
  return found ? t.devices[found] : t.device;
}
