import type { Uplink, UplinkState } from "../protocol/types.ts";

/** ms for the bridge to join a network (it gives an attempt 15 s), or to log in (30 s), and a little for asking. */
export const JOIN_LIMIT = 22_000;
export const LOGIN_LIMIT = 37_000;
/** ms after which what the bridge tells of a failure is not of an attempt before. */
export const BEGUN = 4_000;

const FAILED: readonly UplinkState[] = [
  "wrong-key",
  "wrong-login",
  "no-network",
  "no-dhcp",
  "unusable-address",
  "failed",
];

/**
 * Watches one attempt to join `ssid`, status by status. The bridge may go back to the network that it was on; and until it has
 * begun, it shows what was before.
 */
export class Attempt {
  #begun = false;
  constructor(readonly ssid: string) {}

  /** The state in which it ended; null while it goes on. `age`: ms since the bridge was asked to join. */
  outcome(uplink: Uplink, age: number): UplinkState | null {
    if (uplink.failed?.ssid === this.ssid && (this.#begun || age >= BEGUN)) return uplink.failed.state;
    if (uplink.ssid === this.ssid) {
      this.#begun = true;
      return uplink.state === "up" || FAILED.includes(uplink.state) ? uplink.state : null;
    }
    return this.#begun ? "failed" : null;
  }
}
