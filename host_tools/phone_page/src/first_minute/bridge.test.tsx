// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, expect, test, vi } from "vitest";
import { texts } from "../texts.ts";
import { Name } from "./bridge.tsx";
import type { Contact } from "./contact.ts";

const t = texts.firstMinute;

afterEach(cleanup);

test.each([
  ["goes on", false],
  ["moves nobody who has gone back meanwhile", true],
])("a phone that is paired %s", async (_what, left) => {
  window.scrollTo = () => {}; // happy-dom has none
  let pair!: () => void;
  const paired = new Promise<void>((resolve) => (pair = resolve));
  const onPaired = vi.fn(async () => {});
  const contact = { pair: () => paired } as unknown as Contact;
  render(<Name contact={contact} step={{ n: 1, of: 2, name: "" }} onPaired={onPaired} onBack={() => {}} />);
  await act(async () => void fireEvent.submit(screen.getByRole("button", { name: t.pair }).closest("form")!));
  if (left) await act(async () => cleanup());
  await act(async () => pair());
  expect(onPaired).toHaveBeenCalledTimes(left ? 0 : 1);
});
