// @vitest-environment happy-dom
import { act, cleanup, fireEvent, screen, within } from "@testing-library/preact";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { listenForBack } from "../back.ts";
import { Refused, Trouble } from "../protocol/types.ts";
import { named, texts } from "../texts.ts";
import { BRIDGE, FakeSession, FRIEND, known, PHONE, show, status } from "./testing/fake.tsx";

const t = texts.everyday;

beforeAll(listenForBack);
beforeEach(() => {
  // happy-dom has neither.
  window.scrollTo = () => {};
  HTMLDialogElement.prototype.showModal ??= function () {
    this.open = true;
  };
});
afterEach(cleanup);

/** happy-dom's own. */
const goTo = (url: string) => (window as unknown as { happyDOM: { setURL(url: string): void } }).happyDOM.setURL(url);

/** Does it, and all that comes of it at once. */
const click = (place: HTMLElement) =>
  act(async () => {
    fireEvent.click(place);
    await new Promise((resolve) => setTimeout(resolve));
  });
const tap = async (name: string | RegExp) => click(await screen.findByRole("button", { name }));
const heading = (name: string) => screen.findByRole("heading", { level: 1, name });
const type = (label: string, value: string) => fireEvent.input(screen.getByLabelText(label), { target: { value } });
const inDialog = () => within(screen.getByRole("dialog"));
const confirm = (name: string) => click(inDialog().getByRole("button", { name }));

/** Everyday, connected, on one of its screens. */
async function at(session: FakeSession, row?: string) {
  const all = show({ begun: session, bridges: [known({ role: session.role as "owner" | "guest" })] });
  await screen.findByText(t.speakerThere);
  if (row) {
    await tap(new RegExp(`^${row}`));
    await heading(row);
  }
  return all;
}

describe("home, without a connection", () => {
  test("in, and until when; one tap claims again", async () => {
    const { world } = show({ bridges: [known({ inUntil: Date.now() + 3_600_000 })] });
    expect(screen.getByText(/^You are in until /)).toBeTruthy();
    await tap(t.letMeInAgain);
    expect(world.visits).toEqual(["claim 10.66.1.161"]);
    expect(await screen.findByText(texts.visit["no-answer"].what)).toBeTruthy();
  });
  test("not let in", () => {
    show({});
    expect(screen.getByText(t.notIn)).toBeTruthy();
    expect(screen.getByRole("button", { name: t.letMeIn })).toBeTruthy();
  });
  test("a lease that has run out as far as this phone knows", () => {
    show({ bridges: [known({ inUntil: Date.now() - 1000 })] });
    expect(screen.getByText(/^You were in until /)).toBeTruthy();
  });
  test("where nobody knows where the bridge is, there is nothing to tap", () => {
    show({ bridges: [known({ addr: "" })] });
    expect(screen.queryByRole("button", { name: t.letMeIn })).toBeNull();
    expect(screen.getByText(t.whereUnknown)).toBeTruthy();
  });
  test("a visit that was answered is kept, and why there is no music all the same is said", async () => {
    const until = Date.now() + 7_200_000;
    const { world } = show({
      outcome: { bridge: BRIDGE, purpose: "claim", kind: "claimed", until, by: "mac", segment: "set-up" },
    });
    expect(await screen.findByText(/^You are in until /)).toBeTruthy();
    expect(world.kept.get(BRIDGE)!.inUntil).toBe(until);
    expect(screen.getByText(t.claimedNoMusic["set-up"]!)).toBeTruthy();
  });
  test("a refusal of the bridge's page, in words", async () => {
    show({ outcome: { bridge: BRIDGE, purpose: "claim", kind: "refused", word: "full" } });
    expect(await screen.findByText(texts.visit.full.what)).toBeTruthy();
  });
  test("a bridge that does not know this phone: it is in no more, and the way back is there", async () => {
    const { world } = show({
      bridges: [known({ inUntil: Date.now() + 3_600_000 })],
      outcome: { bridge: BRIDGE, purpose: "claim", kind: "refused", word: "bad-proof" },
    });
    expect(screen.queryByText(/^You are in until /)).toBeNull();
    expect(screen.getByText(t.notIn)).toBeTruthy();
    await tap(t.pairAgain);
    expect(world.paired).toBe(1);
  });
  test("several bridges, each with its own buttons; one is forgotten after a warning", async () => {
    const other = known({ bridge: "ffffffff00000000", ssid: "Home", role: "guest" });
    const { world } = show({ bridges: [known(), other] });
    const home = within(screen.getByRole("region", { name: t.bridge("Home") }));
    await click(home.getByText(t.forgetHere));
    expect(world.forgotten).toEqual([]);
    expect(inDialog().getByText(t.forgetHereWarn(false))).toBeTruthy();
    await confirm(t.forgetHereYes);
    expect(world.forgotten).toEqual(["ffffffff00000000"]);
    expect(screen.queryByRole("region", { name: t.bridge("Home") })).toBeNull();
    expect(screen.getByText(t.forgotten)).toBeTruthy();
  });
  test("a bridge that another tab has paired with anew meanwhile stays, and nobody says that it is forgotten", async () => {
    const anew = known({ phone: "00112233445566ff" });
    const { world } = show({ meanwhile: [anew] });
    await tap(t.forgetHere);
    await confirm(t.forgetHereYes);
    expect(world.forgotten).toEqual([anew.bridge]);
    expect(screen.getByText(t.pairedAnew)).toBeTruthy();
    expect(screen.queryByText(t.forgotten)).toBeNull();
    expect(screen.getByRole("region", { name: t.bridge(anew.ssid) })).toBeTruthy();
    expect(screen.queryByRole("dialog")).toBeNull();
  });
  test("none at all", async () => {
    const { world } = show({ bridges: [] });
    await tap(t.pair);
    expect(world.paired).toBe(1);
  });
});

describe("connecting", () => {
  test("an owner may switch Bluetooth on over Wi-Fi first", async () => {
    const { world } = show({});
    await tap(t.manage);
    await heading(t.connectTitle);
    expect(screen.getByText(t.openLead)).toBeTruthy();
    await tap(t.openOverWifi);
    expect(world.visits).toEqual(["open 10.66.1.161"]);
  });
  test("a guest may not, and is told what else there is", async () => {
    show({ bridges: [known({ role: "guest" })] });
    await tap(t.manage);
    expect(screen.queryByRole("button", { name: t.openOverWifi })).toBeNull();
    expect(screen.getByText(t.pressButtonGuest)).toBeTruthy();
  });
  test("back from the bridge's page, whose Bluetooth is on now", async () => {
    show({ outcome: { bridge: BRIDGE, purpose: "open", kind: "opened", until: 1 }, sessions: [new FakeSession()] });
    expect(screen.getByText(t.opened)).toBeTruthy();
    await tap(t.connect);
    await heading(t.overview);
  });
  test("what goes wrong is said, and can be tried again", async () => {
    show({ sessions: [new Trouble("another-bridge"), new FakeSession()] });
    await tap(t.manage);
    await tap(t.connect);
    expect(await screen.findByText(texts.trouble["another-bridge"].what)).toBeTruthy();
    await tap(t.connect);
    await heading(t.overview);
  });
  test("an empty list is no riddle", async () => {
    show({});
    await tap(t.manage);
    await tap(t.connect);
    expect(await screen.findByText(t.noneChosen.next)).toBeTruthy();
  });
  test("a phone that a bridge does not accept is told so, and forgets nothing before it was asked", async () => {
    const { world } = show({ sessions: [new Trouble("wrong-secret"), new Trouble("wrong-secret")] });
    await tap(t.manage);
    await tap(t.connect);
    expect(await screen.findByText(t.noLongerPaired)).toBeTruthy();
    await tap(t.forgetHere);
    expect(inDialog().getByText(t.forgetUnproven(true))).toBeTruthy();
    expect(world.forgotten).toEqual([]);
    await confirm(texts.parts.cancel);
    await tap(t.connect); // anybody may have said so
    await tap(t.forgetHere);
    await confirm(t.forgetHereYes);
    expect(await screen.findByText(t.none)).toBeTruthy();
    expect(world.forgotten).toEqual([BRIDGE]);
  });
  test("the same, where a connection has ended; and it can be tried again there", async () => {
    const session = new FakeSession({}, "guest");
    const { world } = show({
      begun: session,
      bridges: [known({ role: "guest" })],
      sessions: [new Trouble("wrong-secret"), new FakeSession({}, "guest")],
    });
    await screen.findByText(t.speakerThere);
    await act(async () => session.onOver!(new Trouble("out-of-range")));
    await tap(t.connectAgain);
    await tap(t.forgetHere);
    expect(inDialog().getByText(t.forgetUnproven(false))).toBeTruthy();
    await confirm(texts.parts.cancel);
    await tap(t.connectAgain);
    expect(screen.queryByText(t.noLongerPaired)).toBeNull();
    expect(world.forgotten).toEqual([]);
  });
});

describe("what comes late", () => {
  const OTHER = "ffffffff00000000";
  const deferred = () => {
    let come!: (session: FakeSession | Promise<never>) => void;
    const coming = new Promise<FakeSession>((resolve) => (come = resolve));
    return {
      coming,
      come: (session: FakeSession | Promise<never>) =>
        act(async () => {
          come(session);
          await new Promise((resolve) => setTimeout(resolve)); // and all that comes of it
        }),
    };
  };
  /** The browser's own. */
  const goBack = () =>
    act(async () => {
      const gone = new Promise((resolve) => addEventListener("popstate", resolve, { once: true }));
      history.back();
      await gone;
    });
  const twoBridges = () => [known(), known({ bridge: OTHER, ssid: "Home" })];
  const manage = (ssid: string) =>
    click(within(screen.getByRole("region", { name: t.bridge(ssid) })).getByRole("button", { name: t.manage }));

  test("a session counts for the bridge that it was opened with, and for no other", async () => {
    const [first, second] = [deferred(), deferred()];
    const mine = new FakeSession();
    const others = new FakeSession({}, "owner", "Ada", OTHER);
    const { world } = show({ bridges: twoBridges(), sessions: [first.coming, second.coming] });
    await manage("Dorm");
    await tap(t.connect);
    await goBack();
    await manage("Home");
    await tap(t.connect);
    expect(world.connects).toEqual([`list ${BRIDGE}`, `list ${OTHER}`]);
    await first.come(mine);
    expect(mine.ended).toBe(true);
    await heading(t.connectTitle);
    await second.come(others);
    await heading(t.overview);
    expect(screen.getByText(new RegExp(t.bridgeId("ffff ffff")))).toBeTruthy();
    await tap(new RegExp(`^${t.people}`));
    await screen.findByText("Grace");
    expect([mine.asked, others.of("phones").length > 0, others.ended]).toEqual([[], true, false]);
  });
  test("whoever went back meanwhile is not thrown forward, and keeps no bridge occupied", async () => {
    const first = deferred();
    const session = new FakeSession();
    show({ sessions: [first.coming] });
    await tap(t.manage);
    await tap(t.connect);
    await goBack();
    await heading(t.home);
    await first.come(session);
    await heading(t.home);
    expect(session.ended).toBe(true);
  });
  test("nor while what was learnt is still being kept", async () => {
    let keep!: () => void;
    const saved = new Promise<void>((resolve) => (keep = resolve));
    const session = new FakeSession();
    show({ sessions: [session], saved });
    await tap(t.manage);
    await tap(t.connect);
    await goBack();
    await act(async () => {
      keep();
      await new Promise((resolve) => setTimeout(resolve));
    });
    await heading(t.home);
    expect(session.ended).toBe(true);
  });
  test("why one bridge was not reached is not said of another", async () => {
    const first = deferred();
    show({ bridges: twoBridges(), sessions: [first.coming] });
    await manage("Dorm");
    await tap(t.connect);
    await goBack();
    await manage("Home");
    await first.come(Promise.reject(new Trouble("wrong-secret")));
    await heading(t.connectTitle);
    expect(screen.queryByRole("alert")).toBeNull();
  });
  test("whoever went back, and connects again, waits for the same connection", async () => {
    const first = deferred();
    const session = new FakeSession();
    const { world } = show({ sessions: [first.coming] });
    await tap(t.manage);
    await tap(t.connect);
    await goBack();
    await tap(t.manage);
    await tap(t.connect);
    await first.come(session);
    await heading(t.overview);
    expect([world.connects.length, session.ended]).toEqual([1, false]);
  });
  test("a connection that comes when the page shows something else is ended", async () => {
    const first = deferred();
    const session = new FakeSession();
    show({ sessions: [first.coming] });
    await tap(t.manage);
    await tap(t.connect);
    await act(async () => cleanup());
    await first.come(session);
    expect(session.ended).toBe(true);
  });
  test("Back from a screen leads to the overview, also where everyday began with it", async () => {
    const session = new FakeSession();
    await at(session, t.people);
    await goBack();
    await heading(t.overview);
    expect([session.ended, screen.queryByText(t.over)]).toEqual([false, null]);
  });
  test("Back from the overview says bye", async () => {
    const session = new FakeSession();
    show({ sessions: [session] });
    await tap(t.manage);
    await tap(t.connect);
    await heading(t.overview);
    await goBack();
    await heading(t.home);
    expect(session.ended).toBe(true);
  });
});

describe("connected", () => {
  test("the overview tells all, and keeps where the bridge is and until when", async () => {
    const lease = { phone: PHONE, addr: "10.66.1.5", mac: null, by: "address" as const, left_s: 7200 };
    const session = new FakeSession({
      status: status({
        leases: [lease, ...status().leases],
        damaged: true,
        uplink: { ...status().uplink, ssid: "Other", addr: "10.1.2.3" },
      }),
    });
    const { world } = await at(session);
    for (const words of [
      t.damaged,
      `The bridge is on ${named("Other")}.`,
      "10.1.2.3",
      "02:00:00:00:42:10",
      "Grace",
      "0.9.0",
      "2 hours",
      t.ble.managed!,
    ]) {
      expect(screen.getAllByText(words, { exact: false }).length).toBeGreaterThan(0);
    }
    expect(screen.getAllByText(/^this phone, until /).length).toBe(1);
    await vi.waitFor(() =>
      expect(world.kept.get(BRIDGE)).toMatchObject({ addr: "10.1.2.3", ssid: "Other", name: "Ada" }),
    );
    expect(world.kept.get(BRIDGE)!.inUntil).toBeGreaterThan(Date.now() + 7_000_000);
  });
  test("a guest sees, and asks, what a guest may", async () => {
    const session = new FakeSession({}, "guest", "Grace");
    await at(session);
    expect(session.asked.map(({ op }) => op)).toEqual(["status"]);
    expect(screen.getByText(t.anotherPhone)).toBeTruthy();
    for (const hidden of [t.invite, t.people, t.dormWifi, t.speakerWifi, t.setUp, t.experts]) {
      expect(screen.queryByRole("button", { name: new RegExp(`^${hidden}`) })).toBeNull();
    }
    for (const there of [t.device, t.blocked, t.leave]) {
      expect(screen.getByRole("button", { name: new RegExp(`^${there}`) })).toBeTruthy();
    }
  });
  test("the session ends: the screen stays, and goes on by one tap", async () => {
    const first = new FakeSession();
    const second = new FakeSession({ phones: { phones: [{ phone: PHONE, name: "Ada Again", role: "owner" }] } });
    show({ sessions: [first, second] });
    await tap(t.manage);
    await tap(t.connect);
    await tap(new RegExp(`^${t.people}`));
    await heading(t.people);
    await act(async () => first.onOver!(new Trouble("out-of-range")));
    expect(screen.getByText(t.over)).toBeTruthy();
    expect(screen.queryByText(texts.trouble["out-of-range"].what)).toBeNull(); // it is said once
    expect(screen.getByText("Grace")).toBeTruthy(); // from before
    await tap(t.connectAgain);
    expect(await screen.findByText(/^Ada Again/)).toBeTruthy();
    expect(screen.queryByText(t.over)).toBeNull();
    await heading(t.people);
  });
  test("a bridge that was there a moment ago needs no list; one that did not answer then does", async () => {
    const first = new FakeSession();
    const { world } = show({
      begun: first,
      sessions: [new Trouble("out-of-range"), new FakeSession()],
    });
    await screen.findByText(t.speakerThere);
    await act(async () => first.onOver!(new Trouble("out-of-range")));
    await tap(t.connectAgain);
    expect(await screen.findByText(texts.trouble["out-of-range"].what)).toBeTruthy();
    await tap(t.connectAgain);
    expect(screen.queryByText(t.over)).toBeNull();
    expect(world.connects).toEqual([`near ${BRIDGE}`, `list ${BRIDGE}`]);
  });
  test("after ten minutes it says why", async () => {
    const session = new FakeSession();
    await at(session);
    vi.spyOn(Date, "now").mockReturnValue(Date.now() + 600_000);
    await act(async () => session.onOver!(new Trouble("hung-up")));
    vi.restoreAllMocks();
    expect(screen.getByText(t.overLong)).toBeTruthy();
  });
  test("lists are asked for again while somebody looks, and not while nobody does", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      const session = new FakeSession();
      await at(session);
      const before = session.of("status").length;
      await act(async () => void vi.advanceTimersByTime(10_000));
      expect(session.of("status").length).toBe(before + 1);
      vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
      await act(async () => void vi.advanceTimersByTime(60_000));
      expect(session.of("status").length).toBe(before + 1);
    } finally {
      vi.restoreAllMocks();
      vi.useRealTimers();
    }
  });
  test("disconnecting says bye, and goes home", async () => {
    const session = new FakeSession();
    await at(session);
    await tap(t.disconnect);
    await heading(t.home);
    expect(session.ended).toBe(true);
  });
});

/** The clock stands, until later(). */
const stopClock = () => vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
/** That many ms and a second later. */
async function later(ms: number) {
  vi.setSystemTime(Date.now() + ms);
  await act(async () => void vi.advanceTimersByTime(1000));
}

describe("for another device", () => {
  test("a link that has run out is not shown any more", async () => {
    const url = `http://10.66.1.161:7780/t#${"ab".repeat(16)}`;
    stopClock();
    try {
      await at(new FakeSession({ token: { token: "ab".repeat(16), url } }), t.device);
      await tap(t.deviceMake);
      await later(58_000);
      expect(screen.getByText(url)).toBeTruthy();
      await later(3_000);
      expect(screen.getByText(t.deviceOld)).toBeTruthy();
      expect(screen.queryByText(url)).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });
  test("a link, and that it takes this phone's place", async () => {
    const url = `http://10.66.1.161:7780/t#${"ab".repeat(16)}`;
    const session = new FakeSession({ token: { token: "ab".repeat(16), url } });
    await at(session, t.device);
    expect(screen.getByText(t.deviceWarn)).toBeTruthy();
    await tap(t.deviceMake);
    expect(await screen.findByText(url)).toBeTruthy();
    expect(screen.getByRole("img", { name: t.deviceQr })).toBeTruthy();
    expect(screen.getByText(/^Good for another (60|59) seconds\.$/)).toBeTruthy();
  });
  test("what the bridge refuses is shown in its words", async () => {
    const say = "The bridge is in no network now, a token would lead nowhere; let it join one first.";
    await at(new FakeSession({ token: new Refused("busy", say) }), t.device);
    await tap(t.deviceMake);
    expect(await screen.findByText(say)).toBeTruthy();
  });
});

describe("inviting", () => {
  const text = "ABCDE-FGHJK";
  const invite = { invite: text, link: `speakeasy:#invite=${text}`, expires_s: 3600 };
  test("as what and for how long; and all are called back", async () => {
    const session = new FakeSession({ invite });
    await at(session, t.invite);
    fireEvent.click(screen.getByRole("radio", { name: new RegExp(t.inviteOwner) }));
    fireEvent.click(screen.getByRole("radio", { name: t.inviteLong }));
    await tap(t.inviteMake);
    expect(session.of("invite")).toEqual([{ role: "owner", expires_s: 3600 }]);
    expect(await screen.findByText(text)).toBeTruthy();
    await tap(t.inviteVoid);
    expect(session.of("uninvite")).toHaveLength(1);
    expect(await screen.findByText(t.inviteVoided)).toBeTruthy();
    expect(screen.queryByText(text)).toBeNull();
  });
  test("its link leads to this page, and is given on where the phone can", async () => {
    const share = vi.fn(async () => {});
    Object.defineProperty(navigator, "share", { value: share, configurable: true });
    goTo("https://example.org/speaker/");
    try {
      await at(new FakeSession({ invite }), t.invite);
      await tap(t.inviteMake);
      const link = `https://example.org/speaker/#invite=${text}`;
      expect(await screen.findByText(link)).toBeTruthy();
      expect(screen.getByRole("img", { name: t.inviteQr })).toBeTruthy();
      await tap(t.inviteShare);
      expect(share).toHaveBeenCalledWith({ title: t.inviteShareTitle, url: link });
    } finally {
      Reflect.deleteProperty(navigator, "share");
    }
  });
  test("from a page of this machine alone there is the text alone", async () => {
    goTo("http://localhost:7781/");
    await at(new FakeSession({ invite }), t.invite);
    await tap(t.inviteMake);
    expect(await screen.findByText(t.inviteLocal)).toBeTruthy();
    expect(screen.queryByRole("img", { name: t.inviteQr })).toBeNull();
  });
  test("one that has run out is not shown any more", async () => {
    stopClock();
    try {
      await at(new FakeSession({ invite }), t.invite);
      await tap(t.inviteMake);
      await later(3_590_000);
      expect(screen.getByText(text)).toBeTruthy();
      await later(11_000);
      expect(screen.getByText(t.inviteOld)).toBeTruthy();
      expect(screen.queryByText(text)).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });
  test("a fifth is refused in the bridge's words", async () => {
    const say = "4 invites are out; call them back, or wait until one is used or expires.";
    await at(new FakeSession({ invite: new Refused("full", say) }), t.invite);
    await tap(t.inviteMake);
    expect(await screen.findByText(say)).toBeTruthy();
  });
});

describe("people", () => {
  test("who, as what, in or not", async () => {
    await at(new FakeSession(), t.people);
    const grace = await screen.findByRole("button", { name: /^Grace/ });
    expect(grace.textContent).toMatch(/^Graceguest, in until/);
    expect(screen.getByRole("button", { name: /^Ada/ }).textContent).toMatch(/^Adathis phone, owner, not in now/);
  });
  test("rename", async () => {
    const session = new FakeSession();
    await at(session, t.people);
    await tap(/^Grace/);
    await tap(t.rename);
    type(t.name, "");
    await confirm(t.save);
    expect(session.of("rename")).toEqual([]);
    type(t.name, " Grace's tablet ");
    await confirm(t.save);
    expect(session.of("rename")).toEqual([{ phone: FRIEND, name: "Grace's tablet" }]);
    expect(await screen.findByText(t.renamed("Grace's tablet"))).toBeTruthy();
  });
  test("shut out, after a question", async () => {
    const session = new FakeSession();
    await at(session, t.people);
    await tap(/^Grace/);
    await tap(t.shutOut);
    expect(session.of("revoke")).toEqual([]);
    await confirm(t.shutOut);
    expect(session.of("revoke")).toEqual([{ phone: FRIEND }]);
    expect(await screen.findByText(t.shutOutDone("Grace"))).toBeTruthy();
  });
  test("the last owner cannot leave, and is shown the way", async () => {
    const { world } = await at(new FakeSession({ leave: new Refused("last-owner", "...") }), t.people);
    await tap(/^Ada/);
    await tap(t.leave);
    await confirm(t.leaveYes);
    expect(await screen.findByText(t.lastOwner)).toBeTruthy();
    expect(world.forgotten).toEqual([]);
    await tap(t.toInviteOwner);
    await heading(t.invite);
  });
  test("a guest leaves", async () => {
    const session = new FakeSession({}, "guest");
    const { world } = await at(session, t.leave);
    await tap(t.leave);
    await confirm(t.leaveYes);
    expect(await screen.findByText(t.left)).toBeTruthy();
    expect([session.of("leave").length, world.forgotten]).toEqual([1, [BRIDGE]]);
  });
});

describe("blocked lately", () => {
  test("who, why, by hour, for the eye and as a table", async () => {
    await at(new FakeSession(), t.blocked);
    const chart = await screen.findByRole("img", { name: /the last 3 hours/ });
    expect(chart.querySelectorAll("rect")).toHaveLength(3);
    expect(screen.getByText(t.groups.strangers!.why)).toBeTruthy();
    expect(screen.queryByText(t.groups.crowd!.why)).toBeNull();
    const rows = screen.getAllByRole("row", { hidden: true });
    expect(rows).toHaveLength(4);
    expect(rows[3]!.textContent).toMatch(/9110$/); // strangers, impostors, together
    expect(screen.getByText(t.reasons.drop_no_lease!)).toBeTruthy();
    expect(screen.getByText("drop of later")).toBeTruthy();
    expect(screen.queryByText("5")).toBeNull(); // what passed is no reason
  });
  test("a count that stays at its most", async () => {
    await at(new FakeSession({ blocked: { blocked: { strangers: [65535] }, into_s: 1 } }), t.blocked);
    expect((await screen.findAllByText(/65,535 or more/)).length).toBeGreaterThan(0);
  });
  test("nothing", async () => {
    await at(
      new FakeSession({ blocked: { blocked: { strangers: [0, 0] }, into_s: 1 }, counters: { counters: {} } }),
      t.blocked,
    );
    expect((await screen.findAllByText(t.blockedNothing)).length).toBeGreaterThan(0);
  });
});

describe("the set-up window", () => {
  const idle = { left_s: 0, seen: [] as string[], forgotten: 0, undecided: false, speaker: null as string | null };
  const SPEAKER = "02:00:00:00:42:20";
  test("is opened, says what to do meanwhile, and closed", async () => {
    let state: object = idle;
    const session = new FakeSession({
      setup: (given: { open_s?: number }) => {
        if (given.open_s) state = { ...idle, left_s: given.open_s, seen: [SPEAKER] };
        if (given.open_s === 0) state = { ...idle, seen: [SPEAKER], undecided: true };
        return state;
      },
    });
    await at(session, t.setUp);
    await tap(t.setUpOpen);
    expect(await screen.findByText(t.setUpLeft("15 minutes"))).toBeTruthy();
    expect(await screen.findByText("only for the speaker")).toBeTruthy();
    expect(screen.getByText(SPEAKER)).toBeTruthy();
    await tap(t.setUpDone);
    expect(await screen.findByText(t.setUpUndecided)).toBeTruthy();
    fireEvent.click(screen.getByRole("radio", { name: SPEAKER }));
    await tap(t.setUpChoose);
    expect(session.of("setup").at(-1)).toEqual({ speaker: SPEAKER });
  });
  test("an answer that is older than what was done is not shown", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      let answerLate!: (state: object) => void;
      const late = new Promise<object>((resolve) => (answerLate = resolve));
      let slow = false;
      const session = new FakeSession({
        setup: (given: { open_s?: number }) => (given.open_s ? { ...idle, left_s: 900 } : slow ? late : idle),
      });
      await at(session, t.setUp);
      slow = true;
      const before = session.of("setup").length;
      await act(async () => void vi.advanceTimersByTime(10_000));
      expect(session.of("setup").length).toBeGreaterThan(before);
      await tap(t.setUpOpen);
      await act(async () => {
        answerLate(idle);
        await new Promise((resolve) => setTimeout(resolve));
      });
      expect(screen.getByText(t.setUpLeft("15 minutes"))).toBeTruthy();
    } finally {
      vi.useRealTimers();
    }
  });
  test("a MAC is typed as it stands on a label", async () => {
    const session = new FakeSession({ setup: { ...idle, undecided: true } });
    await at(session, t.setUp);
    await screen.findByText(t.setUpUndecided);
    type(t.setUpMac, "02-00-00");
    await tap(t.setUpChoose);
    expect(screen.getByText(t.setUpMacWrong)).toBeTruthy();
    type(t.setUpMac, "02-00-00-00-42-2A");
    await tap(t.setUpChoose);
    expect(session.of("setup").filter((given) => "speaker" in (given as object))).toEqual([
      { speaker: "02:00:00:00:42:2a" },
    ]);
  });
  test("the chosen speaker, which is away", async () => {
    await at(new FakeSession({ setup: { ...idle, speaker: SPEAKER } }), t.setUp);
    expect(await screen.findByText(t.setUpChosen(SPEAKER))).toBeTruthy();
    expect(screen.getByText(t.setUpChosenAway)).toBeTruthy();
  });
});

describe("networks", () => {
  test("another order", async () => {
    const session = new FakeSession();
    await at(session, t.dormWifi);
    await tap(t.moveUp("Cafe"));
    expect(session.of("networks").at(-2)).toEqual({ order: ["Dorm", "Cafe", "eduroam"] });
    await tap(t.moveUp("Dorm")); // it is the first
    expect(session.of("networks").filter((given) => "order" in (given as object))).toHaveLength(1);
  });
  test("forgetting the one that the bridge is on has a warning of its own", async () => {
    const session = new FakeSession();
    await at(session, t.dormWifi);
    await tap(t.forgetNetwork("Dorm"));
    expect(inDialog().getByText(t.forgetNetworkNow)).toBeTruthy();
    await confirm(t.forgetYes);
    expect(session.of("forget")).toEqual([{ ssid: "Dorm" }]);
  });
  test("the speaker's Wi-Fi: shown, and changed after a warning", async () => {
    const session = new FakeSession();
    await at(session, t.speakerWifi);
    expect(await screen.findByText("only for the speaker")).toBeTruthy();
    type(t.newKey, "short");
    await tap(t.change);
    expect(screen.getByText(t.keyWrong)).toBeTruthy();
    type(t.newKey, "long enough");
    await tap(t.change);
    await confirm(t.changeYes);
    expect(session.of("segment").at(-1)).toEqual({ ssid: "Speaker", key: "long enough" });
  });
});

describe("for experts", () => {
  test("services: one more, one less", async () => {
    const session = new FakeSession({
      services: (given: { services?: string[] }) => ({ services: given.services ?? ["tcp/1400"] }),
    });
    await at(session, t.experts);
    const part = within(await screen.findByRole("region", { name: t.services }));
    const field = part.getByLabelText(t.service);
    fireEvent.input(field, { target: { value: "tcp/7780" } });
    await click(part.getByRole("button", { name: t.add }));
    expect(part.getByText(t.serviceOwn)).toBeTruthy();
    fireEvent.input(field, { target: { value: "TCP/1443" } });
    await click(part.getByRole("button", { name: t.add }));
    expect(session.of("services").at(-1)).toEqual({ services: ["tcp/1400", "tcp/1443"] });
    await part.findByText(t.servicesNow("tcp/1400, tcp/1443"));
    await click(part.getByRole("button", { name: t.take("tcp/1400") }));
    expect(inDialog().getByText(t.takeControl)).toBeTruthy();
    await confirm(t.takeYes);
    expect(session.of("services").at(-1)).toEqual({ services: ["tcp/1443"] });
  });
  test("a form that is sent twice at once is sent once", async () => {
    const session = new FakeSession({
      services: (given: { services?: string[] }) => ({ services: given.services ?? ["tcp/1400"] }),
    });
    await at(session, t.experts);
    const part = within(await screen.findByRole("region", { name: t.services }));
    const field = part.getByLabelText(t.service);
    fireEvent.input(field, { target: { value: "tcp/1443" } });
    await act(async () => {
      fireEvent.submit(field.closest("form")!);
      fireEvent.submit(field.closest("form")!);
    });
    await part.findByText(t.servicesNow("tcp/1400, tcp/1443"));
    expect(session.of("services").filter((given) => "services" in (given as object))).toHaveLength(1);
  });
  test("the addressing changes after a warning", async () => {
    const session = new FakeSession();
    await at(session, t.experts);
    fireEvent.click(await screen.findByRole("radio", { name: new RegExp("One of its own") }));
    const part = within(screen.getByRole("region", { name: t.mode }));
    await click(part.getByRole("button", { name: t.change }));
    await confirm(t.modeYes);
    expect(session.of("addressing").at(-1)).toEqual({ mode: "private" });
  });
  test("hosts", async () => {
    const session = new FakeSession({
      addressing: (given: { hosts?: string[] }) => ({ mode: "passthrough", hosts: given.hosts ?? [] }),
    });
    await at(session, t.experts);
    const part = within(await screen.findByRole("region", { name: t.hosts }));
    fireEvent.input(part.getByLabelText(t.host), { target: { value: "10.66.0.5" } });
    await click(part.getByRole("button", { name: t.add }));
    expect(session.of("addressing").at(-1)).toEqual({ hosts: ["10.66.0.5"] });
    expect(await part.findByText(t.hostsNow("10.66.0.5"))).toBeTruthy();
  });
  test("Ethernet is there where the bridge has it", async () => {
    await at(new FakeSession(), t.experts);
    await screen.findByRole("region", { name: t.services });
    expect(screen.queryByRole("region", { name: t.ethernet })).toBeNull();
    const session = new FakeSession({
      ethernet: { ethernet: "segment", now: "segment" },
      status: status({ ethernet: "segment" }),
    });
    await at(session);
    // There is no Wi-Fi for a speaker on a cable.
    expect(screen.queryAllByRole("button", { name: new RegExp(`^(${t.speakerWifi}|${t.setUp})`) })).toEqual([]);
    await tap(new RegExp(`^${t.experts}`));
    fireEvent.click(await screen.findByRole("radio", { name: new RegExp("socket in the wall") }));
    const part = within(screen.getByRole("region", { name: t.ethernet }));
    await click(part.getByRole("button", { name: t.change }));
    expect(session.of("ethernet").at(-1)).toEqual({ ethernet: "uplink" });
  });
  test("the log, with names", async () => {
    await at(new FakeSession(), t.experts);
    await tap(new RegExp(`^${t.logOpen}`));
    await heading(t.log);
    expect(await screen.findByText(`operations: phone ${named("Grace")} is paired: guest`)).toBeTruthy();
    expect(screen.getByText("0:01:05")).toBeTruthy();
  });
  test("restart", async () => {
    const session = new FakeSession();
    const { world } = await at(session, t.experts);
    await tap(t.rebootButton);
    expect(session.of("reboot")).toEqual([]);
    await confirm(t.rebootYes);
    expect(session.of("reboot")).toHaveLength(1);
    expect(await screen.findByText(t.rebootDone)).toBeTruthy();
    expect(world.forgotten).toEqual([]);
  });
  test("reset, once the word was typed", async () => {
    const session = new FakeSession();
    const { world } = await at(session, t.experts);
    await tap(t.resetButton);
    await confirm(t.resetYes);
    expect(session.of("reset")).toEqual([]);
    type(texts.parts.typeToConfirm(t.resetWord), "Reset");
    await confirm(t.resetYes);
    expect(session.of("reset")).toEqual([{ bridge: BRIDGE }]);
    expect(world.forgotten).toEqual([BRIDGE]);
    expect(await screen.findByText(t.resetDone)).toBeTruthy();
  });
});
