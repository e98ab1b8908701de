// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { useState } from "preact/hooks";
import { afterEach, expect, test } from "vitest";
import { writeCode } from "../protocol/codes.ts";
import type { Found } from "../protocol/links.ts";
import { Trouble } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import { Code } from "./code.tsx";

const t = texts.firstMinute;
const SECRET = Uint8Array.from({ length: 16 }, (_, at) => at + 1);

afterEach(cleanup);

/** A typed code, what it is sent as, and a person who sends it. `fails`: it cannot be taken the first time. */
function typed(fails = false) {
  window.scrollTo = () => {}; // happy-dom has none
  const found: number[][] = [];
  const take = async ({ secret }: Found) => {
    found.push([...secret]);
    secret.fill(0); // as credentialOf() does
    if (fails && found.length === 1) throw new Trouble("no-crypto");
  };
  function Typed() {
    const [text, setText] = useState("");
    const props = { text, onText: setText, badLink: false, failed: null, step: { n: 1, of: 2, name: "" } };
    return <Code {...props} onBack={() => {}} onFound={take} />;
  }
  render(<Typed />);
  fireEvent.input(screen.getByLabelText(t.code), { target: { value: writeCode(SECRET) } });
  const form = screen.getByRole("button", { name: t.next }).closest("form")!;
  return { found, send: () => fireEvent.submit(form) };
}

test("a code that is sent twice at once is taken once", async () => {
  const { found, send } = typed();
  await act(async () => {
    send();
    send();
  });
  await act(async () => void send());
  expect(found).toEqual([[...SECRET]]);
});

test("a code that could not be taken is whole when it is sent again", async () => {
  const { found, send } = typed(true);
  await act(async () => void send());
  expect(screen.getByRole("alert").textContent).toContain(texts.trouble["no-crypto"].what);
  await act(async () => void send());
  expect(found).toEqual([[...SECRET], [...SECRET]]);
  expect(screen.queryByRole("alert")).toBeNull();
});
