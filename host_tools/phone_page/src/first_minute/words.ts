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

/** The name that everybody hears, where none was typed: of the user's only the part that says where the login is known. */
export function anonymous(user: string): string {
  const at = user.lastIndexOf("@");
  return at < 0 ? user : `anonymous${user.slice(at)}`;
}

/** The words for how joining ended. */
export const failureWords = (state: UplinkState | "late") =>
  t.joinFailed[Object.hasOwn(t.joinFailed, state) ? (state as keyof typeof t.joinFailed) : "failed"];

/** A name for this device, as good as its browser tells. */
export function deviceName(userAgent: string): string {
  const found = (["Android", "iPhone", "iPad", "Mac", "Windows", "CrOS", "Linux"] as const).find((one) =>
    userAgent.includes(one),
  );
  return found ? t.devices[found] : t.device;
}
