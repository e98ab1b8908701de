// @vitest-environment happy-dom
import { act, cleanup, render, screen } from "@testing-library/preact";
import { useState } from "preact/hooks";
import { afterEach, beforeAll, expect, test } from "vitest";
import { listenForBack, useBack } from "./back.ts";

beforeAll(listenForBack);
afterEach(() => act(async () => cleanup()));

const depth = () => (history.state as Record<string, number>)["speakeasy depth"];

/** The person's; resolves when the tab is there, and all that comes of it has come. */
const go = (steps: number) =>
  act(async () => {
    const moved = new Promise((resolve) => addEventListener("popstate", resolve, { once: true }));
    history.go(steps);
    await moved;
    await new Promise((resolve) => setTimeout(resolve));
  });
const settled = () => act(async () => void (await new Promise((resolve) => setTimeout(resolve))));

let set: { outer: (depth: number) => void; inner: (depth: number | null) => void };
let stays = false;

function Inner() {
  const [at, setAt] = useState(0);
  const inner = set.inner;
  set.inner = (depth) => (depth === null ? inner(null) : setAt(depth));
  useBack(at, (depth) => !stays && setAt(depth));
  return <p>inner {at}</p>;
}
function Outer() {
  const [at, setAt] = useState(0);
  const [open, setOpen] = useState(true);
  set = { outer: setAt, inner: (depth) => setOpen(depth !== null) };
  useBack(at, (depth) => {
    setAt(depth);
    setOpen(false);
  });
  return (
    <>
      <p>outer {at}</p>
      {open && <Inner />}
    </>
  );
}
const shown = (text: string) => expect(document.body.textContent).toBe(text);

test("there is one entry for each screen, and one step back is the innermost's", async () => {
  render(<Outer />);
  await act(async () => set.outer(1));
  await act(async () => set.inner(2));
  await settled();
  expect(depth()).toBe(3);
  await go(-1);
  shown("outer 1inner 1");
  await go(-1);
  shown("outer 1inner 0");
  await go(-1);
  shown("outer 0");
  expect(depth()).toBe(0);
});

test("more steps at once are for whom they lead to", async () => {
  render(<Outer />);
  await act(async () => set.outer(2));
  await act(async () => set.inner(1));
  await settled();
  await go(-2);
  shown("outer 1");
  expect(depth()).toBe(1);
});

test("screens that are left otherwise take their entries along", async () => {
  render(<Outer />);
  await act(async () => set.outer(1));
  await act(async () => set.inner(3));
  await settled();
  await act(async () => set.inner(null));
  await settled();
  expect(depth()).toBe(1);
  await go(+2); // forward, to where nothing is any more
  await settled();
  expect(depth()).toBe(1);
  shown("outer 1");
});

test("who stays has something to go back from again", async () => {
  stays = true;
  render(<Outer />);
  await act(async () => set.inner(1));
  await settled();
  await go(-1);
  shown("outer 0inner 1");
  expect(depth()).toBe(1);
  stays = false;
  await go(-1);
  shown("outer 0inner 0");
  expect(screen.queryByText("inner 1")).toBeNull();
});

test("an address with another fragment, opened over this page, leaves no entry", async () => {
  render(<Outer />);
  await act(async () => set.outer(1));
  await settled();
  await act(async () => {
    history.pushState(null, "", "#code=1"); // as the browser has it when it says so
    dispatchEvent(new PopStateEvent("popstate", { state: null }));
    dispatchEvent(new Event("hashchange"));
    await new Promise((resolve) => setTimeout(resolve));
  });
  await settled();
  expect(depth()).toBe(1);
  shown("outer 1inner 0");
  await go(-1);
  shown("outer 0");
});
