// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { texts } from "../texts.ts";
import { Trouble } from "../protocol/types.ts";
import { Find, Name } from "./bridge.tsx";
import type { Contact } from "./contact.ts";

const t = texts.firstMinute;

afterEach(cleanup);

beforeEach(() => {
  window.scrollTo = () => {}; // happy-dom has none
});

test.each([
  ["code", false, t.wrongCode, t.typeAgain],
  ["invite", true, t.wrongInvite, t.typeInvite],
])("a wrong %s is told as such", async (_what, invite, words, again) => {
  const contact = { reach: () => Promise.reject(new Trouble("wrong-secret")) } as unknown as Contact;
  const [onFound, onOtherCode] = [vi.fn(), vi.fn()];
  render(<Find {...{ contact, invite, onFound, onOtherCode }} step={{ n: 1, of: 2, name: "" }} />);
  await act(async () => void fireEvent.click(screen.getByRole("button", { name: t.find })));
  expect((await screen.findByRole("alert")).textContent).toBe(words.what + words.next);
  const button = screen.getByRole("button", { name: again });
  await vi.waitFor(() => expect(button.getAttribute("aria-busy")).toBe("false"), { timeout: 30_000 });
  fireEvent.click(button);
  expect([onFound.mock.calls.length, onOtherCode.mock.calls.length]).toEqual([0, 1]);
});

test.each([
  ["goes on", false],
  ["moves nobody who has gone back meanwhile", true],
])("a phone that is paired %s", async (_what, left) => {
  let pair!: () => void;
  const paired = new Promise<void>((resolve) => (pair = resolve));
  const onPaired = vi.fn(async () => {});
  const contact = { pair: () => paired } as unknown as Contact;
  render(
    <Name
      contact={contact}
      step={{ n: 1, of: 2, name: "" }}
      onPairing={() => {}}
      onPaired={onPaired}
      onBack={() => {}}
    />,
  );
  await act(async () => void fireEvent.submit(screen.getByRole("button", { name: t.pair }).closest("form")!));
  if (left) await act(async () => cleanup());
  await act(async () => pair());
  expect(onPaired).toHaveBeenCalledTimes(left ? 0 : 1);
});
