/**
 * The browser's Back (on Android a gesture) is the page's own: each screen that has a way back is one entry more in the tab's history,
 * and there are as many entries as there are screens to go back through, however a person left them.
 */
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** In an entry's state: how many entries of this page lie below it. */
const KEY = "speakeasy depth";

/** ms in which a browser has gone a few entries back in its history. */
const REST_MS = 2_000;

type Level = { depth: number; back: (depth: number) => void };
/** By the order in which they came: what is shown inside of another component comes after it. */
const levels = new Map<number, Level>();
let born = 0;
/** The depth of the entry that the tab is at. */
let here = 0;
/** A journey of our own through the history is under way; and who waits for its end. */
let going = false;
let waiting: (() => void)[] = [];
let planned = false;

function depthOf(state: unknown): number | null {
  const depth = (state as { [KEY]?: unknown } | null)?.[KEY];
  return typeof depth === "number" && Number.isInteger(depth) && depth >= 0 ? depth : null;
}
const stamped = (depth: number) => ({ [KEY]: depth });
const sorted = () => [...levels].sort(([one], [other]) => one - other).map(([, level]) => level);
const wanted = () => sorted().reduce((sum, { depth }) => sum + depth, 0);

/** Makes the history as deep as what is shown. */
function settle(): void {
  planned = false;
  if (going) return;
  const depth = wanted();
  while (here < depth) history.pushState(stamped(++here), "");
  if (here > depth) {
    going = true;
    history.go(depth - here);
    return;
  }
  for (const done of waiting) done();
  waiting = [];
}
/** Once all of a change is on the screen. */
function plan(): void {
  if (planned) return;
  planned = true;
  queueMicrotask(settle);
}

/** An address with another fragment, opened over this one, is an entry of the browser's own: whether the tab is at such a one. */
function isNew(): boolean {
  if (depthOf(history.state) !== null) return false;
  history.replaceState(stamped(++here), "");
  return true;
}
function moved(): void {
  if (isNew()) return;
  here = depthOf(history.state) ?? 0;
  if (going) going = false;
  else callBack(here);
  plan();
}
/** Of all that is shown, what lies above `depth` is left. */
function callBack(depth: number): void {
  let below = 0;
  for (const level of sorted()) {
    if (below + level.depth > depth) return level.back(depth - below);
    below += level.depth;
  }
}

/** Begins to listen; once, before anything is shown. */
export function listenForBack(): void {
  const begin = () => {
    going = false;
    here = depthOf(history.state) ?? 0; // of a page before it, loaded anew: its screens are gone, and so are their entries
    history.replaceState(stamped(here), "");
    plan();
  };
  history.scrollRestoration = "manual"; // a screen begins at its top
  begin();
  addEventListener("popstate", moved);
  // A page that was kept while the tab was elsewhere may be shown at another entry than it was left at.
  addEventListener("pageshow", (event) => event.persisted && begin());
  // Such an entry is left again. Others that listen read the fragment before that comes about.
  addEventListener("hashchange", () => {
    isNew();
    plan();
  });
}

/** Once the tab stays where it is: a journey to another page must not cross one of ours. */
export function atRest(): Promise<void> {
  return new Promise((done) => {
    waiting.push(done);
    setTimeout(done, REST_MS); // whatever the browser does
    plan();
  });
}

/**
 * This component is `depth` screens away from where it began. `back` is called when the person has gone back to fewer of them; whoever stays
 * nevertheless gets the entries anew.
 */
export function useBack(depth: number, back: (depth: number) => void): void {
  const [id] = useState(() => ++born);
  const level = useRef<Level>({ depth, back });
  level.current.back = back;
  useLayoutEffect(() => {
    level.current.depth = depth;
    plan();
  }, [depth]);
  useLayoutEffect(() => {
    levels.set(id, level.current);
    plan();
    return () => {
      levels.delete(id);
      plan();
    };
  }, []);
}
