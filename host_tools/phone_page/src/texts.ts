/**
 * Every text that a person reads on this page, in English. A text with values in it is a function.
 *
 * Words are those of people, not of networks: "let in until", "the dorm's Wi-Fi", "the speaker's Wi-Fi". What went wrong comes with what to do.
 */
import type { TroubleKind } from "./protocol/types.ts";
import type { Outcome, VisitWord } from "./visit.ts";

/** What happened, and what to do next. */
type Words = { what: string; next: string };

const trouble: Record<TroubleKind, Words> = {
  "no-bluetooth": {
    what: "This browser cannot use Bluetooth",
    next: "Open this page in Chrome or Edge on Android, Windows, macOS or Linux. On an iPhone or iPad, use the browser Bluefy.",
  },
  "bluetooth-off": {
    what: "Bluetooth is off, or this browser may not use it",
    next: "Switch Bluetooth on, and allow it for this browser in the phone's settings. Then try again.",
  },
  "no-crypto": {
    what: "This browser is too old",
    next: "It lacks the cryptography (X25519) that keeps your bridge private. Update the browser, and open this page by https.",
  },
  "nobody-chosen": {
    what: "No bridge was chosen",
    next: "Stay within a few metres of the bridge and choose “Speakeasy” in the list. Is the list empty? Press the button on the bridge, then try again.",
  },
  "out-of-range": {
    what: "The connection to the bridge broke",
    next: "Go nearer to it, a few metres are best. Nothing is lost: you go on where you were.",
  },
  "not-a-bridge": {
    what: "That is not a Speakeasy bridge",
    next: "Try again, and choose “Speakeasy” in the list.",
  },
  "another-bridge": {
    what: "That is another bridge",
    next: "There is more than one near you. Go close to yours, try again and choose the other “Speakeasy” in the list.",
  },
  "wrong-secret": {
    what: "The bridge does not accept that",
    next: "The code is another bridge's, an invite was used or has expired, or this phone was removed by an owner.",
  },
  locked: {
    what: "The bridge takes no codes for a while",
    next: "There were too many wrong ones. Wait half a minute (longer after each further one), or press the button on the bridge, then try again.",
  },
  "has-owner": {
    what: "This bridge has an owner already",
    next: "Ask the owner for an invite. Or press the button on the bridge: for two minutes its label lets you in as a guest.",
  },
  "no-invite": {
    what: "That invite is not good any more",
    next: "It was used, has expired or was called back. Ask the owner for a new one.",
  },
  "older-page": {
    what: "The bridge is newer than this page",
    next: "Close this page everywhere and open it again while you are online: it updates itself.",
  },
  "older-bridge": {
    what: "The bridge is older than this page",
    next: "Its owner has to flash it with the present firmware. It keeps its phones and networks.",
  },
  unproven: {
    what: "What answered is not your bridge",
    next: "It does not know the secret that yours knows. Go close to your bridge and try again; if it happens again, somebody near you may be imitating it.",
  },
  broken: {
    what: "The connection was disturbed",
    next: "A message came broken, so it was ended. Nothing is lost: connect again.",
  },
  timeout: {
    what: "The bridge did not answer in time",
    next: "Go nearer to it, see that it has power, and connect again.",
  },
  "hung-up": {
    what: "The bridge ended the connection",
    next: "It does so after half a minute of silence, and after ten minutes. Connect again and go on.",
  },
};

/** The words of `error` in the bridge's answers (SPEC 2.4). */
const refused: Record<string, Words> = {
  "bad-request": {
    what: "The bridge does not understand that",
    next: "It may be older than this page: its owner should update it. Nothing was changed.",
  },
  "not-allowed": { what: "This phone may not do that", next: "Only owners may. Ask an owner of the bridge." },
  "not-found": {
    what: "The bridge does not know it any more",
    next: "Somebody else may have changed it meanwhile. Go back and look again.",
  },
  full: {
    what: "The bridge is full",
    next: "It knows 16 phones, which is all it can. An owner has to remove one first.",
  },
  "last-owner": {
    what: "This is the bridge's last owner",
    next: "Make somebody else an owner first, or reset the bridge.",
  },
  busy: { what: "The bridge is busy", next: "It is joining a network. Try again in a few seconds." },
  "by-cable": {
    what: "That is by cable here",
    next: "This bridge uses its Ethernet socket for it, so there is no Wi-Fi to set.",
  },
  failed: { what: "The bridge could not do that", next: "Try again. If it fails again, start the bridge anew." },
};

/** What came of a visit to the bridge over Wi-Fi, by its `word` where it was refused, else by its `kind` (visit.ts). */
const visit: Record<VisitWord | Exclude<Outcome["kind"], "claimed" | "opened" | "refused">, Words> = {
  "bad-proof": {
    what: "The bridge does not know this phone",
    next: "Try again. If it stays so, an owner has removed this phone, or the bridge was reset: pair with it again.",
  },
  "not-allowed": {
    what: "This phone may not do that",
    next: "Only owners may. Ask one, or press the button on the bridge.",
  },
  relayed: {
    what: "Something between this phone and the bridge answers for it",
    next: "It may be a repeater, or somebody who listens. Join the dorm's Wi-Fi itself, and try again.",
  },
  "slow-down": {
    what: "The bridge has just refused too many tries",
    next: "They need not have been yours. Wait ten seconds, and try again.",
  },
  busy: { what: "Too many phones ask the bridge at the same moment", next: "Try again in a few seconds." },
  full: {
    what: "No more phones can be let in",
    next: "All 16 places are taken. Wait for one to go away, or have an owner remove one.",
  },
  unseen: { what: "The bridge does not see this phone yet", next: "Try again in a few seconds." },
  failed: { what: "The bridge could not do that", next: "Try again. If it fails again, start the bridge anew." },
  "no-address": {
    what: "Where the bridge is on the dorm's Wi-Fi is not known here",
    next: "Connect to it by Bluetooth once: it tells. If it is on no Wi-Fi yet, an owner has it join one.",
  },
  "no-answer": {
    what: "The bridge did not answer",
    next: "Is this phone on the dorm's Wi-Fi, the one that the bridge is on? Has the bridge power? If it got another address meanwhile, connect by Bluetooth once: it tells.",
  },
  "another-bridge": {
    what: "Another bridge is there now",
    next: "Yours has got another address. Connect to it by Bluetooth once: it tells where it is.",
  },
  unproven: {
    what: "What answered is not your bridge",
    next: "It does not know this phone's key. Connect to your bridge by Bluetooth; if it is where this phone looked for it, somebody on that Wi-Fi is imitating it.",
  },
};

export const texts = {
  name: "Speakeasy",

  parts: {
    back: "Back",
    step: (n: number, of: number, name?: string) => `Step ${n} of ${of}${name ? ` · ${name}` : ""}`,
    show: (label: string) => `Show: ${label}`,
    copy: (label: string) => `Copy: ${label}`,
    copyShort: "Copy",
    copied: "Copied",
    marked: "Marked",
    cancel: "Cancel",
    close: "Close",
    typeToConfirm: (word: string) => `To confirm, type “${word}”`,
    tryAgain: "Try again",
    connectAgain: "Connect again",
  },

  trouble,
  refused,
  visit,
  unexpected: {
    what: "Something went wrong in this page",
    next: "Load the page again. Nothing is lost.",
  } satisfies Words,

  firstMinute: {},

  everyday: {},

  flash: {},
} as const;
