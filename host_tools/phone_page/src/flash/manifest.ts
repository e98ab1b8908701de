/** The firmware that the page's host offers: `firmware/manifest.json` beside the page, and the files that it names. */
import { CHIPS, isChip, type Chip } from "./chips.ts";
import { type Image, LONGEST_IMAGE, readImage } from "./image.ts";
import { FlashTrouble } from "./trouble.ts";

/** One line of the list. `flash_size` in bytes; `file` in the manifest's folder; `sha256` of it, hex. */
export interface Offer {
  name: string;
  chip: Chip;
  flash_size: number;
  file: string;
  sha256: string;
}

const FOLDER = "firmware/";
const MOST_OFFERS = 64;
const LONGEST_NAME = 80;
const LONGEST_MANIFEST = 64 << 10;
// A name, no path: nothing is fetched from anywhere but that folder.
const FILE = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}$/;

/** What a manifest offers; what is not understood is left out. */
export function readManifest(text: string): Offer[] {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    return [];
  }
  const list = told && typeof told === "object" ? (told as Record<string, unknown>)["firmware"] : null;
  return Array.isArray(list) ? list.slice(0, MOST_OFFERS).filter(isOffer) : [];
}

function isOffer(one: unknown): one is Offer {
  if (!one || typeof one !== "object") return false;
  const { name, chip, flash_size, file, sha256 } = one as Record<string, unknown>;
  return (
    typeof name === "string" &&
    name.length > 0 &&
    name.length <= LONGEST_NAME &&
    isChip(chip) &&
    typeof flash_size === "number" &&
    Number.isSafeInteger(flash_size) &&
    flash_size > 0 &&
    typeof file === "string" &&
    FILE.test(file) &&
    typeof sha256 === "string" &&
    /^[0-9a-f]{64}$/.test(sha256)
  );
}

/** The offers of the page's host; none where there is no manifest. `page`: the page's own address. */
export async function offers(page: string): Promise<Offer[]> {
  try {
    const bytes = await get(new URL(`${FOLDER}manifest.json`, page), LONGEST_MANIFEST);
    return readManifest(new TextDecoder().decode(bytes));
  } catch {
    return [];
  }
}

/** Raises FlashTrouble. */
export async function load(offer: Offer, page: string): Promise<Image> {
  let data: Uint8Array<ArrayBuffer>;
  try {
    data = await get(new URL(FOLDER + offer.file, page), LONGEST_IMAGE);
  } catch {
    throw new FlashTrouble("not-loaded");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== offer.sha256) throw new FlashTrouble("changed");
  const image = await readImage(offer.name, data);
  if (image.chip !== offer.chip) {
    throw new FlashTrouble("changed", { found: CHIPS[image.chip].name, wanted: CHIPS[offer.chip].name });
  }
  return { ...image, flashSize: Math.max(image.flashSize, offer.flash_size) };
}

async function get(url: URL, longest: number): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch(url, { redirect: "error", credentials: "omit", cache: "no-cache" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > longest) throw new Error("too long");
  return bytes;
}
