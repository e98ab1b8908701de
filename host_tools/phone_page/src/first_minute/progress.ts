/** How far this tab is in the first minute, so that it goes on there after a visit to the bridge, or a reload. No secret. */

const KEY = "speakeasy first minute";
export const PLACES = ["wifi", "speaker", "let-in", "play"] as const;
export type Place = (typeof PLACES)[number];
/** A phone that has paired, and what is still to do. `later`: the person has left it for now, and is not led there again unasked. */
export type Progress = { bridge: string; place: Place; later?: boolean };

type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export function readProgress(storage: () => Kept = () => sessionStorage): Progress | null {
  try {
    const found = JSON.parse(storage().getItem(KEY) ?? "null") as Progress | null;
    if (found && typeof found.bridge === "string" && PLACES.includes(found.place)) return found;
  } catch {
    // Nothing may be stored here, or it is not ours: then there is none.
  }
  return null;
}

export function keepProgress(progress: Progress | null, storage: () => Kept = () => sessionStorage): void {
  try {
    if (progress) storage().setItem(KEY, JSON.stringify(progress));
    else storage().removeItem(KEY);
  } catch {
    // Then a reload starts with the everyday page.
  }
}
