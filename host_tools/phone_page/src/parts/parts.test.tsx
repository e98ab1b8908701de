// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, expect, test, vi } from "vitest";
import { Refused, Trouble } from "../protocol/types.ts";
import { StoreTrouble } from "../store.ts";
import { texts } from "../texts.ts";
import { Button, CopyField, Dialog, Field, Form, QrCode, Screen, TroubleNotice, wordsOf } from "./index.ts";

afterEach(cleanup);

test("a screen's heading gets the focus when the screen appears, and again when it becomes another one", () => {
  const { rerender } = render(<Screen title="One" />);
  expect(document.activeElement).toBe(screen.getByRole("heading", { name: "One" }));
  (document.activeElement as HTMLElement).blur();
  rerender(<Screen title="One" lead="More is known." />);
  expect(document.activeElement).toBe(document.body);
  rerender(<Screen title="Two" step={{ n: 2, of: 5 }} />);
  expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Two" }));
  expect(screen.getByText("Step 2 of 5")).toBeTruthy();
  expect(document.title).toContain("Two");
});

test("a button takes no second tap while what it began is under way", async () => {
  let end = () => {};
  const begun = vi.fn(() => new Promise<void>((resolve) => (end = resolve)));
  render(<Button label="Join" busyLabel="Joining" onTap={begun} />);
  fireEvent.click(screen.getByRole("button"));
  await waitFor(() => expect(screen.getByRole("button").getAttribute("aria-busy")).toBe("true"));
  expect(screen.getByRole("button", { name: "Joining" })).toBeTruthy();
  fireEvent.click(screen.getByRole("button"));
  expect(begun).toHaveBeenCalledTimes(1);
  end();
  await waitFor(() => expect(screen.getByRole("button", { name: "Join" }).getAttribute("aria-busy")).toBe("false"));
  fireEvent.click(screen.getByRole("button"));
  expect(begun).toHaveBeenCalledTimes(2);
});

test("a password is hidden until it is asked for, and what is wrong with it is said of the field", () => {
  const { rerender } = render(<Field label="Key" value="secret" onInput={() => {}} password />);
  const field = screen.getByLabelText("Key") as HTMLInputElement;
  expect(field.type).toBe("password");
  fireEvent.click(screen.getByRole("button", { name: texts.parts.show("Key") }));
  expect(field.type).toBe("text");
  rerender(<Field label="Key" value="secret" onInput={() => {}} password error="Too short." />);
  expect(field.getAttribute("aria-invalid")).toBe("true");
  expect(document.getElementById(field.getAttribute("aria-describedby")!)!.textContent).toBe("Too short.");
});

test("a code may take more than one line, and is sent as one line is", () => {
  const input = vi.fn();
  const send = vi.fn();
  render(
    <Form onSend={send}>
      <Field label="Code" value="" onInput={input} code error="Too short." />
    </Form>,
  );
  const field = screen.getByLabelText("Code") as HTMLTextAreaElement;
  expect(field.tagName).toBe("TEXTAREA");
  expect(field.getAttribute("aria-invalid")).toBe("true");
  fireEvent.input(field, { target: { value: "01234-\r\n56789\nABCDE" } });
  expect(input).toHaveBeenLastCalledWith("01234- 56789 ABCDE");
  const press = (inputType: string) =>
    field.dispatchEvent(new InputEvent("beforeinput", { inputType, cancelable: true, bubbles: true }));
  expect(press("insertText")).toBe(true);
  expect(send).not.toHaveBeenCalled();
  expect(press("insertLineBreak")).toBe(false);
  expect(send).toHaveBeenCalledTimes(1);
});

test("a value is copied, or marked where the browser lets nobody write", async () => {
  const writeText = vi.fn().mockResolvedValueOnce(undefined).mockRejectedValueOnce(new Error("no"));
  vi.stubGlobal("navigator", { clipboard: { writeText } });
  render(<CopyField label="Key" value="abc def" />);
  fireEvent.click(screen.getByRole("button", { name: texts.parts.copy("Key") }));
  await waitFor(() => expect(screen.getByRole("status").textContent).toBe(texts.parts.copied));
  expect(writeText).toHaveBeenCalledWith("abc def");
  fireEvent.click(screen.getByRole("button", { name: texts.parts.copy("Key") }));
  await waitFor(() => expect(screen.getByRole("status").textContent).toBe(texts.parts.marked));
  vi.unstubAllGlobals();
});

test("what is dangerous is done only after its word was typed; what went wrong stays in the dialog", async () => {
  const confirm = vi.fn().mockRejectedValueOnce(new Refused("busy", "Later.")).mockResolvedValueOnce(undefined);
  render(<Dialog title="Reset?" confirm="Reset" typed="reset" danger onConfirm={confirm} onClose={() => {}} />);
  const send = () => fireEvent.submit(screen.getByRole("button", { name: "Reset" }).closest("form")!);
  send();
  expect(confirm).not.toHaveBeenCalled();
  fireEvent.input(screen.getByLabelText(texts.parts.typeToConfirm("reset")), { target: { value: " Reset" } });
  send();
  await waitFor(() => expect(screen.getByRole("alert").textContent).toContain(texts.refused["busy"]!.what));
  send();
  await waitFor(() => expect(confirm).toHaveBeenCalledTimes(2));
});

test("a dialog does once what is confirmed twice", async () => {
  let end = () => {};
  const confirm = vi.fn(() => new Promise<void>((resolve) => (end = resolve)));
  render(<Dialog title="Leave?" confirm="Leave" onConfirm={confirm} onClose={() => {}} />);
  const form = screen.getByRole("button", { name: "Leave" }).closest("form")!;
  fireEvent.submit(form);
  fireEvent.submit(form);
  await waitFor(() => expect(screen.getByRole("button", { name: "Leave" }).getAttribute("aria-busy")).toBe("true"));
  fireEvent.submit(form);
  expect(confirm).toHaveBeenCalledTimes(1);
  end();
  await waitFor(() => expect(screen.getByRole("button", { name: "Leave" }).getAttribute("aria-busy")).toBe("false"));
  fireEvent.submit(form);
  expect(confirm).toHaveBeenCalledTimes(2);
});

test("every error has words: what happened, and what to do", () => {
  expect(wordsOf(new Trouble("locked"))).toEqual(texts.trouble.locked);
  expect(wordsOf(new Refused("full", "By the bridge."))).toEqual(texts.refused["full"]);
  expect(wordsOf(new Refused("toString", "By the bridge."))).toEqual({ what: "By the bridge.", next: "" });
  expect(wordsOf(new StoreTrouble("store-full"))).toEqual(texts.store["store-full"]);
  expect(wordsOf(new TypeError("a fault of ours"))).toEqual(texts.unexpected);
  for (const words of [
    ...Object.values(texts.trouble),
    ...Object.values(texts.refused),
    ...Object.values(texts.store),
  ]) {
    expect(words.what.length).toBeGreaterThan(5);
    expect(words.next.length).toBeGreaterThan(20);
  }
});

test("a trouble's button connects again where that mends it", () => {
  const again = vi.fn();
  render(<TroubleNotice error={new Trouble("out-of-range")} onAgain={again} />);
  fireEvent.click(screen.getByRole("button", { name: texts.parts.connectAgain }));
  expect(again).toHaveBeenCalledTimes(1);
});

test("a QR code has a name and its quiet zone", () => {
  render(<QrCode text="HELLO" label="The invite as a QR code" />);
  const code = screen.getByRole("img", { name: "The invite as a QR code" });
  // Version 1 has 21 modules (ISO/IEC 18004); four light ones on each side.
  expect(code.getAttribute("viewBox")).toBe("0 0 29 29");
  expect(code.querySelector("path")!.getAttribute("d")).toContain("M4 4h1v1h-1z");
  expect(code.querySelector("path")!.getAttribute("d")).not.toContain("M3 ");
});
