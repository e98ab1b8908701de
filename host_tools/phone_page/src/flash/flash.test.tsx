// @vitest-environment happy-dom
import { cleanup, configure, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { texts } from "../texts.ts";
import { Flash } from "./flash.tsx";
import { firmware } from "./testing/images.ts";

configure({ asyncUtilTimeout: 30_000 });
const t = texts.flash;
/** The browser's list of ports, which the person closes without a choice. */
const list = vi.fn(() => Promise.reject(new DOMException("No port selected by the user.", "NotFoundError")));

beforeEach(() => {
  list.mockClear();
  vi.stubGlobal("navigator", { userAgent: "", serial: { requestPort: list } });
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("", { status: 404 })));
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const tap = (name: string) => fireEvent.click(screen.getByRole("button", { name }));

/** The screen, with a firmware of the person's own chosen. */
async function chosen() {
  render(<Flash onPair={() => {}} onBack={() => {}} />);
  expect(screen.getByRole("button", { name: t.begin }).getAttribute("aria-disabled")).toBe("true");
  tap(t.begin);
  expect(list).not.toHaveBeenCalled();
  const data = await firmware(9, 2, [[0, 0x10000, 0x1e0000]]);
  const file = new File([data], "firmware.bin");
  fireEvent.change(screen.getByLabelText(t.file, { exact: false }), { target: { files: [file] } });
  const begin = screen.getByRole("button", { name: t.begin });
  await waitFor(() => expect(begin.getAttribute("aria-disabled")).toBe("false"));
}

/** Nothing was chosen in the browser's list, which was opened once. */
async function asked() {
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain(t.trouble["nobody-chosen"]().what));
  expect(list).toHaveBeenCalledTimes(1);
}

it("asks before a board is erased, and does nothing where the answer is no", async () => {
  await chosen();
  fireEvent.click(screen.getByRole("checkbox"));
  tap(t.begin);
  expect(screen.getByRole("dialog").textContent).toContain(t.eraseWords);
  expect(list).not.toHaveBeenCalled();
  tap(texts.parts.cancel);
  await waitFor(() => expect(screen.queryByRole("dialog")).toBe(null));
  expect(list).not.toHaveBeenCalled();
  tap(t.begin);
  tap(t.eraseConfirm);
  await asked();
});

it("asks nothing where what is on the board stays", async () => {
  await chosen();
  tap(t.begin);
  expect(screen.queryByRole("dialog")).toBe(null);
  await asked();
});

it("shows all ports to whoever found none among the likely ones", async () => {
  await chosen();
  tap(t.begin);
  await asked();
  tap(t.oneMore);
  tap(t.onlyLabel);
  await waitFor(() => expect(list).toHaveBeenCalledTimes(2));
  const filters = list.mock.calls.map((call) => (call as unknown as [{ filters: object[] }])[0].filters.length);
  expect(filters[0]).toBeGreaterThan(0);
  expect(filters[1]).toBe(0);
});

it("says of a wrong file what it is, and takes it for none", async () => {
  await chosen();
  const file = new File(["<!doctype html>"], "firmware.bin");
  fireEvent.change(screen.getByLabelText(t.file, { exact: false }), { target: { files: [file] } });
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain(t.trouble["not-firmware"]().what));
  expect(screen.getByRole("button", { name: t.begin }).getAttribute("aria-disabled")).toBe("true");
});
