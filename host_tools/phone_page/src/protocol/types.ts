/**
 * What the parts of the page agree on: a link to a bridge, a session on it, what is kept of a bridge.
 *
 * Words and layouts are those of docs/SPEC.md; all hex is lower case, two digits a byte.
 */

/** A GATT connection to one bridge that carries fragments (SPEC 2.1). Made by bluetooth.ts. */
export interface Link {
  /** The characteristic `info`: version (1 byte), state (1), bridge id (8). */
  readInfo(): Promise<Uint8Array>;
  /** Writes one fragment of 2 to 20 bytes to `inbox`, with response. Rejects with Trouble. */
  write(fragment: Uint8Array): Promise<void>;
  /** Is called with each notification of `outbox`, in order. Set it before the first write. */
  onFragment: ((fragment: Uint8Array) => void) | null;
  /** Is called once when the connection is gone, whoever ended it. */
  onGone: (() => void) | null;
  close(): void;
  /**
   * A new connection to the same bridge, once this one is gone: without the browser's list, so it needs no tap. Rejects
   * with Trouble.
   */
  again(): Promise<Link>;
}

/** What a secret is, and the name that it goes by (SPEC 2.2). The secret is the key of an HMAC and of nothing else. */
export type Credential =
  | { mode: "setup-code"; secret: CryptoKey }
  | { mode: "phone-key"; id: string; secret: CryptoKey }
  | { mode: "invite"; id: string; secret: CryptoKey };

/** Why there is no session, or no session any more. texts.ts has a sentence, and what to do, for each. */
export type TroubleKind =
  | "no-bluetooth" // this browser has no Web Bluetooth
  | "bluetooth-off" // the phone's Bluetooth is off, or the browser may not use it
  | "no-crypto" // this browser has no X25519 in WebCrypto, or the page is not a secure context
  | "nobody-chosen" // the person closed the browser's list, or it was empty
  | "out-of-range" // the connection broke, or did not come about; a browser does not tell who ended it
  | "not-a-bridge" // what answers is not a Speakeasy bridge
  | "another-bridge" // a bridge, but not the one that was meant
  | "wrong-secret" // BAD_PROOF
  | "locked" // LOCKED: too many wrong codes
  | "has-owner" // NOT_NOW to a setup code
  | "no-invite" // NOT_NOW to an invite
  | "older-page" // the bridge knows newer versions alone: update this page
  | "older-bridge" // update the bridge
  | "unproven" // the bridge's own proof is wrong: it is somebody else
  | "broken" // a message was changed, repeated, lost or malformed
  | "timeout" // no answer in time
  | "hung-up"; // the bridge ended the session: it does after 30 s without a request, and after 10 minutes; or end() was called

export class Trouble extends Error {
  override readonly name = "Trouble";
  constructor(readonly kind: TroubleKind) {
    super(kind);
  }
}

/** The bridge understood a request and said no: `word` and `say` of SPEC 2.4. */
export class Refused extends Error {
  override readonly name = "Refused";
  constructor(
    readonly word: string,
    readonly say: string,
  ) {
    super(say);
  }
}

export type Role = "owner" | "guest" | "new";

/** A session that both sides have proven (SPEC 2.3, 2.4). */
export interface Session {
  readonly bridge: string;
  readonly role: Role;
  /** The phone's name; "" while it is new. */
  readonly name: string;
  /** The firmware's. */
  readonly version: string;
  /**
   * One request. Rejects with Refused (the session goes on; `say` is "" when the request fits into no message), or with
   * Trouble: the session is over. Requests queue; one is out at a time. After `reboot` and `reset` it is over, too.
   */
  request<Name extends OpName>(op: Name, given: Ops[Name]["request"]): Promise<Ops[Name]["answer"]>;
  /** All pages of a list, joined; the first page's other members with it. */
  pages<Name extends PagedOp>(op: Name, given: Ops[Name]["request"]): Promise<Ops[Name]["answer"]>;
  /** Says `bye` where that is still possible, and hangs up. Never rejects. */
  end(): Promise<void>;
  /** Is called once when the session is over, whoever ended it; with null after end(). */
  onOver: ((why: Trouble | null) => void) | null;
}

/** A bridge that this phone is paired with, as IndexedDB has it (store.ts). */
export interface KnownBridge {
  bridge: string; // id, hex: the key of the object store
  phone: string; // this phone's id there, hex
  role: "owner" | "guest";
  /** This phone's name, as the bridge has it. */
  name: string;
  /** The phone key twice, neither of them extractable: for HMAC (sessions) and for HKDF (claims). */
  sessionKey: CryptoKey;
  claimKey: CryptoKey;
  /** Where it was seen last on the dorm's network, "a.b.c.d"; "" while unknown. */
  addr: string;
  /** The dorm's Wi-Fi that it was on then; "" while unknown. */
  ssid: string;
  /** ms since 1970: this phone is let in until then if it stays silent; 0: not let in. */
  inUntil: number;
  /** When the last visit to it ended, in ms since 1970; unknown of those that were stored before there was this. */
  visited?: number;
}

export type Segment = {
  state: "up" | "down" | "set-up" | "undecided";
  speaker: string | null;
  /** Whether it is there now. */
  there?: boolean;
  addr: string | null;
  host: string;
};
export type UplinkState =
  | "off"
  | "joining"
  | "up"
  | "lost"
  | "wrong-key"
  | "wrong-login"
  | "no-network"
  | "no-dhcp"
  | "unusable-address"
  | "failed"
  | "no-cable";
export type Uplink = {
  state: UplinkState;
  ssid: string;
  addr: string | null;
  mask: string | null;
  router: string | null;
  failed?: { ssid: string; state: UplinkState };
};
export type Lease = { phone: string; addr: string; mac: string | null; by: "mac" | "address"; left_s: number };
export type Status = {
  bridge: string;
  version: string;
  protocol: number;
  mode: "passthrough" | "private";
  ethernet: "segment" | "uplink" | null;
  ble: { state: string; left_s: number | null };
  damaged?: boolean;
  uplink: Uplink;
  segment: Segment;
  claim_port: number;
  phones: number;
  leases: Lease[];
  flows: number;
  uptime_s: number;
};
export type Network = { ssid: string; rssi: number; security: "open" | "psk" | "enterprise" | "other" };
export type Login = { user: string; password: string; identity: string; server: string; inner: "mschapv2" | "pap" };
export type SetUp = { left_s: number; seen: string[]; forgotten: number; undecided: boolean; speaker: string | null };

type Nothing = Record<never, never>;
/** SPEC 2.4's operations: what a request says, and its answer without `id` and `ok`. `page` is pages()'s own. */
export interface Ops {
  enrol: { request: { name: string }; answer: { phone: string; key: string; role: "owner" | "guest" } };
  confirm: { request: Nothing; answer: Nothing };
  status: { request: Nothing; answer: Status };
  counters: { request: Nothing; answer: { counters: Record<string, number> } };
  blocked: { request: Nothing; answer: Blocked };
  token: { request: Nothing; answer: { token: string; url: string } };
  phones: { request: Nothing; answer: { phones: { phone: string; name: string; role: "owner" | "guest" }[] } };
  rename: { request: { phone: string; name: string }; answer: Nothing };
  invite: {
    request: { role: "owner" | "guest"; expires_s?: number };
    answer: { invite: string; link: string; expires_s: number };
  };
  uninvite: { request: Nothing; answer: Nothing };
  revoke: { request: { phone: string }; answer: Nothing };
  leave: { request: Nothing; answer: Nothing };
  scan: { request: Nothing; answer: { networks: Network[] } };
  join: { request: { ssid: string; key: string; login?: Login }; answer: Nothing };
  networks: {
    request: { order?: string[] };
    answer: { networks: { ssid: string; open: boolean; user?: string }[]; mac?: string };
  };
  forget: { request: { ssid: string }; answer: Nothing };
  segment: {
    request: { ssid?: string; key?: string };
    answer: { ssid: string; key: string; state: Segment["state"] };
  };
  addressing: {
    request: { mode?: Status["mode"]; hosts?: string[] };
    answer: { mode: Status["mode"]; hosts: string[] };
  };
  services: { request: { services?: string[] }; answer: { services: string[] } };
  ethernet: {
    request: { ethernet?: "segment" | "uplink" };
    answer: { ethernet: "segment" | "uplink" | null; now: "segment" | "uplink" | null };
  };
  setup: { request: { open_s?: number; speaker?: string }; answer: SetUp };
  log: { request: Nothing; answer: { lines: string[] } };
  reboot: { request: Nothing; answer: Nothing };
  reset: { request: { bridge: string }; answer: Nothing };
  bye: { request: Nothing; answer: Nothing };
}
export type OpName = keyof Ops;
export type PagedOp = "status" | "counters" | "phones" | "scan" | "networks" | "log";
/** What the filter dropped, by group (SPEC 2.7) and by hour of the bridge's uptime, the present one first; `into_s`: how long it has lasted, in s. */
export type Blocked = { blocked: Record<string, number[]>; into_s: number };
