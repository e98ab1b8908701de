/** What the bridge tells, in words. The words themselves are in texts.ts. */
import type { KnownBridge, Lease, Status, Uplink } from "../protocol/types.ts";
import type { Change } from "../store.ts";
import { named, texts } from "../texts.ts";

const t = texts.everyday;
export type Role = "owner" | "guest";

/** ms in a day, as far as clocks go. */
const DAY = 86_400_000;

/** A time of day as this phone writes it; with the day where it is not today. `at`, `now`: ms since 1970. */
export function clock(at: number, now: number): string {
  // In one piece: "PM" on a line of its own says nothing.
  const time = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }).replace(/\s/g, "\u00a0");
  const days = Math.round((startOfDay(at) - startOfDay(now)) / DAY);
  if (days === 0) return time;
  if (days === 1) return t.tomorrow(time);
  return `${new Date(at).toLocaleDateString([], { weekday: "short" })} ${time}`;
}

const startOfDay = (at: number) => new Date(at).setHours(0, 0, 0, 0);

export type Standing = { state: "in" | "was" | "out"; clock: string };

/** Whether this phone is let in, as far as it knows. A lease that was used since lasts longer than it knows. */
export function standing(inUntil: number, now: number): Standing {
  if (!inUntil) return { state: "out", clock: "" };
  return { state: inUntil > now ? "in" : "was", clock: clock(inUntil, now) };
}

/** A bridge's id, short enough for people. */
export const shortId = (id: string) => `${id.slice(0, 4)} ${id.slice(4, 8)}`;

/** The dorm's side in sentences: how it is and what to do, then what went wrong with another network before. */
export function uplinkSentences(uplink: Uplink, role: Role, byCable: boolean): { what: string; next: string }[] {
  const said = [uplinkSentence(uplink.state, uplink.ssid, role, byCable)];
  const last = uplink.failed;
  const isOld = last && last.ssid === uplink.ssid && (last.state === uplink.state || uplink.state === "up");
  if (last && !isOld && !byCable) said.push(uplinkSentence(last.state, last.ssid, role, false));
  return said;
}

function uplinkSentence(state: string, ssid: string, role: Role, byCable: boolean): { what: string; next: string } {
  const of = byCable ? t.cable : t.uplink;
  const words = Object.hasOwn(of, state) ? of[state] : undefined;
  if (!words) return { what: t.unknownState(state), next: "" };
  const what = words.what.replace("{net}", () => (ssid ? named(ssid) : t.theNetwork));
  return { what: what.charAt(0).toUpperCase() + what.slice(1), next: words[role] };
}

export type SpeakerWords = { what: string; next: string; there: boolean };

/** The speaker, there or not, and what to do. */
export function speakerSentence(status: Pick<Status, "segment" | "ethernet">, role: Role): SpeakerWords {
  const { segment } = status;
  if (segment.speaker && segment.there === false) return { what: t.speakerAway, next: t.speakerAwayNext, there: false };
  if (segment.speaker)
    return { what: t.speakerThere, next: t.speakerAt(segment.speaker, segment.addr ?? "?"), there: true };
  const away = (what: string, owner: string, guest: string) => ({
    what,
    next: role === "owner" ? owner : guest,
    there: false,
  });
  if (segment.state === "set-up") return away(t.speakerSetUp, t.speakerSetUpOwner, t.speakerSetUpGuest);
  if (segment.state === "undecided") return away(t.speakerUndecided, t.speakerUndecidedOwner, t.speakerUndecidedGuest);
  if (status.ethernet === "segment") return away(t.speakerNoneCable, "", "");
  return away(t.speakerNone, t.speakerNoneOwner, t.speakerNoneGuest);
}

export function bluetoothSentence(ble: Status["ble"]): string {
  const words = Object.hasOwn(t.ble, ble.state) ? t.ble[ble.state] : undefined;
  if (!words) return t.unknownState(ble.state);
  return ble.left_s === null ? words : `${words} ${t.bleFor(t.span(ble.left_s))}`;
}

export type Guest = { phone: string; name: string; own: boolean; until: number; where: string };

/** Who is in, this phone first. `names`: of the phones, by their ids, as far as this one may know them. */
export function whoIsIn(leases: Lease[], names: ReadonlyMap<string, string>, own: string, asked: number): Guest[] {
  return leases
    .map((lease) => ({
      phone: lease.phone,
      name: names.get(lease.phone) ?? t.anotherPhone,
      own: lease.phone === own,
      until: asked + 1000 * lease.left_s,
      where: `${lease.addr}, ${lease.mac ? t.byMac : t.byAddress}`,
    }))
    .sort((one, other) => Number(other.own) - Number(one.own) || one.name.localeCompare(other.name));
}

/** What a status tells that is worth keeping. `asked`: when, ms since 1970. */
export function kept(known: KnownBridge, status: Status, asked: number): Change {
  const lease = status.leases.find((one) => one.phone === known.phone);
  const up = status.uplink.state === "up" && status.uplink.addr;
  return {
    ...(up ? { addr: up, ssid: status.uplink.ssid } : {}),
    inUntil: lease ? asked + 1000 * lease.left_s : 0,
  };
}

/** The bounds of what follows are those of SPEC 2.4. */
export const isAddress = (text: string) =>
  /^(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}$/.test(text) && text.split(".").every((part) => Number(part) < 256);

export const MOST_SERVICES = 8;
export const MOST_HOSTS = 8;
/** The bridge's own ports. */
const OWN = ["tcp/7780", "udp/67", "udp/68"];

/** What is wrong with one more service; "" when nothing is. */
export function serviceTrouble(text: string, others: readonly string[]): string {
  const found = /^(?:tcp|udp)\/([1-9][0-9]{0,4})$/.exec(text);
  if (!found || Number(found[1]) > 65535) return t.serviceWrong;
  if (OWN.includes(text)) return t.serviceOwn;
  if (others.includes(text)) return t.serviceTwice;
  return others.length >= MOST_SERVICES ? t.serviceFull : "";
}

export function hostTrouble(text: string, others: readonly string[]): string {
  if (!isAddress(text)) return t.hostWrong;
  if (others.includes(text)) return t.hostTwice;
  return others.length >= MOST_HOSTS ? t.hostFull : "";
}

/** One line of the log: when, and what. It knows phones by their ids; `names` knows more. */
export function logLine(line: string, names: ReadonlyMap<string, string>): { at: string; what: string } {
  const [, ms, rest] = /^\[(\d+)\] (.*)$/s.exec(line) ?? [null, "", line];
  const what = rest!.replace(/\bphone ([0-9a-f]{16})\b/g, (whole, id: string) => {
    const name = names.get(id);
    return name ? `phone ${named(name)}` : whole;
  });
  return { at: ms ? hours(Number(ms)) : "", what };
}

/** h:mm:ss. */
function hours(ms: number): string {
  const s = Math.floor(ms / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}
