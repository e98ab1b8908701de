/** What may be wrong with a board, a port or a file; texts.flash.trouble has a sentence, and what to do, for each. */
export type FlashTroubleKind =
  | "nobody-chosen" // the person closed the browser's list, or it was empty
  | "not-opened" // the port: another program has it, or this user may not
  | "no-answer" // no bootloader there
  | "wrong-chip" // found, wanted
  | "unknown-chip"
  | "locked" // secure download mode
  | "unknown-flash"
  | "too-small" // has, needs
  | "stopped-answering" // before anything was written
  | "pulled" // the cable: before anything was written
  | "pulled-writing"
  | "pulled-erased"
  | "not-written" // why; the cable is there
  | "not-written-erased"
  | "gone" // the board, after it was written
  | "silent" // the firmware
  | "not-starting" // said
  | "used-before" // somebody else's file system is on it
  | "no-label"
  | "not-firmware" // the file
  | "part-of-firmware"
  | "cut"
  | "other-chip" // the file is for one that Speakeasy does not run on
  | "not-loaded" // the file, from the page's host
  | "changed"; // the file is not what the manifest says

/** Values for the sentence; none of them is secret. */
export type Facts = { found?: string; wanted?: string; has?: number; needs?: number; why?: string; said?: string };

export class FlashTrouble extends Error {
  override readonly name = "FlashTrouble";
  constructor(
    readonly kind: FlashTroubleKind,
    readonly facts: Facts = {},
  ) {
    super(kind);
  }
}
