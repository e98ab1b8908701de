// @vitest-environment happy-dom
import { act, cleanup, configure, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeSession } from "../everyday/testing/fake.tsx";
import type { Network, Session, Status, UplinkState } from "../protocol/types.ts";
import { texts } from "../texts.ts";
import type { Reach } from "./contact.ts";
import { ChooseWifi } from "./wifi.tsx";

configure({ asyncUtilTimeout: 30_000 });
const t = texts.firstMinute;
const DORM: Network = { ssid: "Dorm", rssi: -60, security: "psk" };

beforeEach(() => {
  window.scrollTo = () => {}; // happy-dom has none
});
afterEach(cleanup);

/** A machine that does much else takes its time. */
const soon = (what: () => void) => vi.waitFor(what, { timeout: 30_000 });
const label = (name: string) => screen.getByLabelText(name, { selector: "input" });
const type = (name: string, value: string) => act(async () => void fireEvent.input(label(name), { target: { value } }));
const choose = (name: string | RegExp) => act(async () => void fireEvent.click(screen.getByRole("radio", { name })));
const tap = (name: string | RegExp) => act(async () => void fireEvent.click(screen.getByRole("button", { name })));
const send = () =>
  act(async () => void fireEvent.submit(screen.getByRole("button", { name: t.join }).closest("form")!));

/** The list of networks that a bridge with Dorm in sight gives; its uplink is then in `state`. */
async function shown(state: UplinkState = "joining", networks = [DORM]) {
  const status = () => ({ uplink: { state, ssid: (session.of("join").at(-1) as { ssid: string }).ssid } }) as Status;
  const session = new FakeSession({ scan: () => ({ networks }), status });
  const contact: Reach = {
    session: session as unknown as Session,
    trouble: null,
    isNear: true,
    reach: async () => session as unknown as Session,
    onChange: () => {},
  };
  const onUp = vi.fn();
  render(<ChooseWifi contact={contact} onUp={onUp} />);
  await screen.findByRole("button", { name: new RegExp(t.other) });
  return { session, onUp, contact };
}

test("a key that was typed before is not sent to a network that has none", async () => {
  const { session } = await shown();
  await tap(new RegExp(t.other));
  await type(t.ssid, "Café");
  await type(t.key, "not for everybody");
  await choose(t.kinds.open);
  await send();
  await soon(() => expect(session.of("join")).toEqual([{ ssid: "Café", key: "" }]));
});

test("what the bridge would refuse is not sent, and said of its field", async () => {
  const { session } = await shown();
  await tap(/^Dorm/);
  await type(t.key, "seven77");
  await send();
  expect(screen.getByText(t.keyWrong)).toBeTruthy();
  await type(t.key, "eight888");
  await send();
  await soon(() => expect(session.of("join")).toEqual([{ ssid: "Dorm", key: "eight888" }]));
});

test("a password that the server would learn goes to a named one alone", async () => {
  const { session } = await shown("joining", [{ ssid: "eduroam", rssi: -60, security: "enterprise" }]);
  await tap(/^eduroam/);
  await type(t.user, "ada@example.edu");
  await type(t.password, "secret");
  await choose(new RegExp(`^${t.serverAny}`));
  await choose(new RegExp(`^${t.innerPap}`));
  await send();
  // Where it can be seen, also by who has folded it again.
  await soon(() => expect(screen.getByText(t.papNeedsServer).closest("details")!.open).toBe(true));
  expect(session.of("join")).toEqual([]);
  await choose(new RegExp(`^${t.serverNamed}`));
  await type(t.server, " radius.example.edu ");
  await send();
  await soon(() =>
    expect(session.of("join")).toEqual([
      {
        ssid: "eduroam",
        key: "",
        login: {
          user: "ada@example.edu",
          password: "secret",
          identity: "anonymous@example.edu",
          server: "radius.example.edu",
          inner: "pap",
        },
      },
    ]),
  );
});

test("a wrong key is said so, and what was typed is still there", async () => {
  const { onUp } = await shown("wrong-key");
  await tap(/^Dorm/);
  await type(t.key, "eight888");
  await send();
  expect(await screen.findByText(t.joinFailed["wrong-key"].what)).toBeTruthy();
  expect((label(t.key) as HTMLInputElement).value).toBe("eight888");
  expect(onUp).not.toHaveBeenCalled();
});

test("who is on the network goes on", async () => {
  const { onUp } = await shown("up");
  await tap(/^Dorm/);
  await type(t.key, "eight888");
  await send();
  await soon(() => expect(onUp).toHaveBeenCalledTimes(1));
});

test("whoever has gone back while the bridge is reached joins nothing", async () => {
  const { session, contact } = await shown();
  let reached!: (session: Session) => void;
  contact.reach = () => new Promise((resolve) => (reached = resolve));
  await tap(/^Dorm/);
  await type(t.key, "right key");
  await send();
  await tap(texts.parts.back);
  await act(async () => reached(session as unknown as Session));
  expect(session.of("join")).toEqual([]);
  expect(screen.getByRole("heading", { level: 1 }).textContent).toBe(t.wifiTitle);
});
