/**
 * The bridge's answers (SPEC 2.4), read into the types of types.ts: whatever a bridge sends, a view gets that form or
 * nothing. A word that this page does not know becomes the most harmless one that it knows; a member of another type
 * than SPEC's makes the answer Trouble `broken`. Members that are not SPEC's are left out.
 */
import { type Bytes, isHex } from "./bytes.ts";
import { type OpName, type Ops, type PagedOp, Trouble, type UplinkState } from "./types.ts";

export type Json = Record<string, unknown>;
/** The list of an answer that comes in pages. */
export const LISTS: Record<PagedOp, string> = {
  status: "leases",
  counters: "counters",
  phones: "phones",
  scan: "networks",
  networks: "networks",
  log: "lines",
};
export const isPaged = (op: OpName): op is PagedOp => Object.hasOwn(LISTS, op);

/** Characters of a bridge's sentence that are shown. */
export const LONGEST_SAY = 300;

const broken = () => new Trouble("broken");

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object in a record of at most 992 bytes. Throws Trouble `broken`. */
export function parse(plain: Bytes): Json {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain));
    if (isObject(value)) return value;
  } catch {
    // Below.
  }
  throw broken();
}

/** Of the other side's text what a line can show: no control characters, nothing that turns the direction around. */
export function printable(value: unknown, longest = LONGEST_SAY): string {
  if (typeof value !== "string") return "";
  return value.slice(0, longest).replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, " ");
}

// Readers of one member: each throws for another type.
const object = (value: unknown): Json => {
  if (!isObject(value)) throw broken();
  return value;
};
const text = (value: unknown): string => {
  if (typeof value !== "string") throw broken();
  return value;
};
const whole = (value: unknown): number => {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw broken();
  return value;
};
const flag = (value: unknown): boolean => {
  if (typeof value !== "boolean") throw broken();
  return value;
};
/** null for null, for "" (which the bridge says for an address that there is not), and where it is missing. */
const orNull =
  <T>(read: (value: unknown) => T) =>
  (value: unknown): T | null =>
    value === null || value === undefined || value === "" ? null : read(value);
const list =
  <T>(read: (value: unknown) => T) =>
  (value: unknown): T[] => {
    if (!Array.isArray(value)) throw broken();
    return value.map(read);
  };
const word =
  <const Known extends string>(known: readonly Known[], otherwise: NoInfer<Known>) =>
  (value: unknown): Known =>
    known.find((one) => one === text(value)) ?? otherwise;
const hexOf =
  (size: number) =>
  (value: unknown): string => {
    if (!isHex(value, size)) throw broken();
    return value;
  };
const addr = (value: unknown): string => {
  if (!/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(text(value))) throw broken();
  return text(value);
};
const mac = (value: unknown): string => {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text(value))) throw broken();
  return text(value);
};

const ID = 8;
const KEY = 32;
const id = hexOf(ID);
const role = word(["owner", "guest"], "guest");
const mode = word(["passthrough", "private"], "passthrough");
const side = orNull(word(["segment", "uplink"], "segment"));
const segmentState = word(["up", "down", "set-up", "undecided"], "down");
const UPLINK_STATES: readonly UplinkState[] = [
  "off",
  "joining",
  "up",
  "lost",
  "wrong-key",
  "wrong-login",
  "no-network",
  "no-dhcp",
  "unusable-address",
  "failed",
  "no-cable",
];
const uplinkState = word(UPLINK_STATES, "failed");
const nothing = () => ({});

type Readers = { [Name in OpName]: (answer: Json) => Ops[Name]["answer"] };
const READERS: Readers = {
  enrol: (a) => ({ phone: id(a.phone), key: hexOf(KEY)(a.key), role: role(a.role) }),
  confirm: nothing,
  status: (a) => {
    const [ble, uplink, segment] = [object(a.ble), object(a.uplink), object(a.segment)];
    const failed = uplink.failed === undefined ? undefined : object(uplink.failed);
    return {
      bridge: id(a.bridge),
      version: printable(a.version),
      protocol: whole(a.protocol),
      mode: mode(a.mode),
      ethernet: side(a.ethernet),
      ble: { state: text(ble.state), left_s: orNull(whole)(ble.left_s) },
      ...(a.damaged === true && { damaged: true }),
      uplink: {
        state: uplinkState(uplink.state),
        ssid: text(uplink.ssid),
        addr: orNull(addr)(uplink.addr),
        mask: orNull(addr)(uplink.mask),
        router: orNull(addr)(uplink.router),
        ...(failed && { failed: { ssid: text(failed.ssid), state: uplinkState(failed.state) } }),
      },
      segment: {
        state: segmentState(segment.state),
        speaker: orNull(mac)(segment.speaker),
        ...(typeof segment.there === "boolean" && { there: segment.there }),
        addr: orNull(addr)(segment.addr),
        host: text(segment.host),
      },
      claim_port: whole(a.claim_port),
      phones: whole(a.phones),
      leases: list((item) => {
        const lease = object(item);
        return {
          phone: id(lease.phone),
          addr: addr(lease.addr),
          mac: orNull(mac)(lease.mac),
          by: word(["mac", "address"], "address")(lease.by),
          left_s: whole(lease.left_s),
        };
      })(a.leases),
      flows: whole(a.flows),
      uptime_s: whole(a.uptime_s),
    };
  },
  counters: (a) => ({
    counters: Object.fromEntries(Object.entries(object(a.counters)).map(([name, count]) => [name, whole(count)])),
  }),
  blocked: (a) => ({
    blocked: Object.fromEntries(
      Object.entries(object(a.blocked)).map(([group, counts]) => [group, list(whole)(counts)]),
    ),
    into_s: whole(a.into_s),
  }),
  token: (a) => {
    // It is made a link.
    if (!/^http:\/\/[0-9.]{7,15}:[0-9]{1,5}\/t#[0-9a-f]{32}$/.test(text(a.url))) throw broken();
    return { token: hexOf(16)(a.token), url: text(a.url) };
  },
  phones: (a) => ({
    phones: list((item) => {
      const phone = object(item);
      return { phone: id(phone.phone), name: printable(text(phone.name)), role: role(phone.role) };
    })(a.phones),
  }),
  rename: nothing,
  invite: (a) => ({ invite: text(a.invite), link: text(a.link), expires_s: whole(a.expires_s) }),
  uninvite: nothing,
  revoke: nothing,
  leave: nothing,
  scan: (a) => ({
    networks: list((item) => {
      const network = object(item);
      return {
        ssid: text(network.ssid),
        rssi: whole(network.rssi),
        security: word(["open", "psk", "enterprise", "other"], "other")(network.security),
      };
    })(a.networks),
  }),
  join: nothing,
  networks: (a) => ({
    networks: list((item) => {
      const network = object(item);
      return {
        ssid: text(network.ssid),
        open: flag(network.open),
        ...(network.user !== undefined && { user: text(network.user) }),
      };
    })(a.networks),
    ...(a.mac !== undefined && a.mac !== null && { mac: mac(a.mac) }),
  }),
  forget: nothing,
  segment: (a) => ({ ssid: text(a.ssid), key: text(a.key), state: segmentState(a.state) }),
  addressing: (a) => ({ mode: mode(a.mode), hosts: list(addr)(a.hosts) }),
  services: (a) => ({ services: list(text)(a.services) }),
  ethernet: (a) => ({ ethernet: side(a.ethernet), now: side(a.now) }),
  setup: (a) => ({
    left_s: whole(a.left_s),
    seen: list(mac)(a.seen),
    forgotten: whole(a.forgotten),
    undecided: flag(a.undecided),
    speaker: orNull(mac)(a.speaker),
  }),
  log: (a) => ({ lines: list((line) => printable(text(line)))(a.lines) }),
  reboot: nothing,
  reset: nothing,
  bye: nothing,
};

/** A good answer (`ok` is true) to `op`. Throws Trouble `broken`. */
export const read = <Name extends OpName>(op: Name, answer: Json): Ops[Name]["answer"] => READERS[op](answer);

/** The list of a further page put behind (or, for counters, into) that of the pages before. Throws Trouble `broken`. */
export function append(op: PagedOp, sofar: Json, page: Json): Json {
  const name = LISTS[op];
  const [before, after] = [sofar[name], page[name]];
  if (Array.isArray(before) && Array.isArray(after)) return { ...sofar, [name]: [...before, ...after] };
  if (isObject(before) && isObject(after)) return { ...sofar, [name]: { ...before, ...after } };
  throw broken();
}
