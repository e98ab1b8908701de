import { describe, expect, test, vi } from "vitest";
import { LISTS, LONGEST_SAY, parse, printable, read } from "./answers.ts";
import { type Bytes, fromHex, utf8 } from "./bytes.ts";
import { importHmac, importSecret } from "./keys.ts";
import { LIMITS, type Limits, openSession, parseInfo } from "./session.ts";
import { TestBridge, type TestLink } from "./testing/bridge.ts";
import { Random } from "./testing/random.ts";
import { type Credential, type OpName, Refused, type Session, Trouble } from "./types.ts";

const trouble = (kind: string) => expect.objectContaining({ name: "Trouble", kind });
const setupCode = async (bridge: TestBridge): Promise<Credential> => ({
  mode: "setup-code",
  secret: await importHmac(bridge.setupCode),
});
const PHONE = "f0f1f2f3f4f5f6f7";
async function phoneKey(bridge: TestBridge): Promise<Credential> {
  bridge.secrets.set(`02${PHONE}`, new Uint8Array(32).fill(9));
  return { mode: "phone-key", id: PHONE, secret: await importSecret(new Uint8Array(32).fill(9)) };
}

/** What happens soon: none of these limits is waited for by a test that goes well. */
const SHORT: Limits = { ...LIMITS, handshake: 50, request: 50, bye: 50, lastWords: 20 };

async function opened(bridge: TestBridge, limits?: Limits): Promise<[Session, TestLink, (string | null)[]]> {
  const link = bridge.connect();
  const session = await openSession(link, await phoneKey(bridge), bridge.id, undefined, limits);
  const overs: (string | null)[] = [];
  session.onOver = (why) => overs.push(why && why.kind);
  return [session, link, overs];
}

describe("opening", () => {
  test.each(["setup-code", "phone-key", "invite"] as const)("with a %s", async (mode) => {
    const bridge = new TestBridge();
    bridge.secrets.set("031011121314151617", new Uint8Array(16).fill(1));
    const credential: Credential =
      mode === "setup-code"
        ? await setupCode(bridge)
        : mode === "phone-key"
          ? await phoneKey(bridge)
          : { mode, id: "1011121314151617", secret: await importSecret(new Uint8Array(16).fill(1)) };
    const session = await openSession(bridge.connect(), credential);
    expect(session).toMatchObject({ bridge: bridge.id, role: "owner", name: "Ada", version: "0.1.0" });
  });

  test("a new phone has no name yet", async () => {
    const bridge = new TestBridge();
    bridge.role = "new";
    bridge.name = null as unknown as string;
    const session = await openSession(bridge.connect(), await setupCode(bridge));
    expect(session).toMatchObject({ role: "new", name: "" });
  });

  test("a wrong secret", async () => {
    const bridge = new TestBridge();
    const link = bridge.connect();
    const wrong: Credential = { mode: "setup-code", secret: await importHmac(new Uint8Array(16)) };
    await expect(openSession(link, wrong)).rejects.toEqual(trouble("wrong-secret"));
    expect(link.gone).toBe(true);
  });

  test("another bridge than the one that is meant is told nothing", async () => {
    const bridge = new TestBridge();
    const link = bridge.connect();
    await expect(openSession(link, await setupCode(bridge), "00".repeat(8))).rejects.toEqual(trouble("another-bridge"));
    expect([link.gone, bridge.writes]).toEqual([true, 0]);
  });

  test.each([
    [1, "setup-code", "broken"],
    [2, "setup-code", "wrong-secret"],
    [3, "invite", "locked"],
    [4, "setup-code", "has-owner"],
    [4, "invite", "no-invite"],
    [4, "phone-key", "broken"],
    [5, "setup-code", "broken"],
    [6, "setup-code", "older-bridge"],
    [7, "setup-code", "broken"],
    [0, "setup-code", "broken"],
  ] as const)("ERROR %d to a %s is %s", async (code, mode, kind) => {
    const bridge = new TestBridge();
    bridge.refuse = code;
    const secret = await importHmac(bridge.setupCode);
    const credential: Credential = mode === "setup-code" ? { mode, secret } : { mode, id: PHONE, secret };
    await expect(openSession(bridge.connect(), credential)).rejects.toEqual(trouble(kind));
  });

  test("a bridge that is newer may know this version, or not", async () => {
    const bridge = new TestBridge();
    bridge.version = 2;
    await openSession(bridge.connect(), await setupCode(bridge));
    bridge.refuse = 6;
    await expect(openSession(bridge.connect(), await setupCode(bridge))).rejects.toEqual(trouble("older-page"));
  });

  test("info", () => {
    const id = "b0b1b2b3b4b5b6b7";
    expect(parseInfo(fromHex(`0104${id}`))).toEqual({ version: 1, state: 4, bridge: id });
    expect(parseInfo(fromHex(`0200${id}ff`))).toEqual({ version: 2, state: 0, bridge: id });
    expect(() => parseInfo(fromHex(`0000${id}`))).toThrow(trouble("older-bridge"));
    for (const odd of ["", "01", "0100", `0100${id}00`, `0100${id.slice(2)}`, `0200${id.slice(2)}`])
      expect(() => parseInfo(fromHex(odd))).toThrow(trouble("not-a-bridge"));
  });

  const isA = (type: number) => (message: Uint8Array) => message[0] === type;
  test.each([
    ["ACCEPT changed", isA(6), (m: Uint8Array) => m.map((byte, at) => (at === 32 ? byte ^ 1 : byte)), "unproven"],
    ["ACCEPT left out", isA(6), () => null, "broken"],
    ["ACCEPT twice", isA(6), (m: Uint8Array) => [m, m], "broken"],
    ["CHALLENGE twice", isA(2), (m: Uint8Array) => [m, m], "broken"],
    [
      "CHALLENGE's key changed",
      isA(2),
      (m: Uint8Array) => m.map((byte, at) => (at === 57 ? byte ^ 1 : byte)),
      "wrong-secret",
    ],
    ["an empty ERROR", isA(2), () => Uint8Array.of(5), "broken"],
    ["a longer ERROR", isA(2), () => Uint8Array.of(5, 2, 0), "broken"],
    ["another message for CHALLENGE", isA(2), () => Uint8Array.of(9, 9), "broken"],
    ["welcome changed", isA(4), (m: Uint8Array) => m.map((byte, at) => (at === 9 ? byte ^ 1 : byte)), "broken"],
    ["no welcome, but ERROR", isA(4), () => Uint8Array.of(5, 2), "broken"],
    ["five messages at once", isA(2), (m: Uint8Array) => [m, m, m, m, m], "broken"],
    ["silence", isA(2), () => null, "timeout"],
    ["silence for a welcome", isA(4), () => null, "timeout"],
  ] as const)("%s", async (_, isIt, change, kind) => {
    const bridge = new TestBridge();
    bridge.spoil = (message) => (isIt(message) ? (change(message) as typeof message) : message);
    const link = bridge.connect();
    const limits = kind === "timeout" ? SHORT : LIMITS;
    await expect(openSession(link, await setupCode(bridge), undefined, undefined, limits)).rejects.toEqual(
      trouble(kind),
    );
    expect(link.gone).toBe(true);
  });

  test.each([{ op: "welcom" }, { bridge: "00".repeat(8) }, { role: "admin" }, { role: undefined }])(
    "a welcome with %j is not believed",
    async (other) => {
      const bridge = new TestBridge();
      const link = bridge.connect();
      const say = link.say.bind(link);
      link.say = (what) => say({ ...(what as object), ...other });
      await expect(openSession(link, await setupCode(bridge))).rejects.toEqual(trouble("broken"));
    },
  );

  test("the connection breaks at each single write", async () => {
    const bridge = new TestBridge();
    await openSession(bridge.connect(), await phoneKey(bridge));
    const writes = bridge.writes;
    expect(writes).toBeGreaterThan(3);
    for (let at = 0; at < writes; at++) {
      const cutOff = new TestBridge();
      cutOff.breakAt = at;
      const opening = openSession(cutOff.connect(), await phoneKey(cutOff), undefined, undefined, {
        ...LIMITS,
        lastWords: 20,
      });
      await expect(opening).rejects.toEqual(trouble("out-of-range"));
    }
  });

  test("a bridge that refuses in the middle of a message is heard", async () => {
    const bridge = new TestBridge();
    const link = bridge.connect();
    link.write = () => {
      queueMicrotask(() => setTimeout(() => link.error(3)));
      return Promise.reject(new Error("GATT operation failed"));
    };
    await expect(openSession(link, await setupCode(bridge))).rejects.toEqual(trouble("locked"));
  });

  test("a browser without X25519, or without WebCrypto", async () => {
    const bridge = new TestBridge();
    const credential = await setupCode(bridge);
    const original = Object.getOwnPropertyDescriptor(globalThis, "crypto")!;
    const subtle = { generateKey: () => Promise.reject(new DOMException("", "NotSupportedError")) };
    for (const other of [{}, { subtle, getRandomValues: (bytes: Uint8Array) => bytes }]) {
      Object.defineProperty(globalThis, "crypto", { value: other, configurable: true });
      try {
        await expect(openSession(bridge.connect(), credential)).rejects.toEqual(trouble("no-crypto"));
      } finally {
        Object.defineProperty(globalThis, "crypto", original);
      }
    }
  });
});

describe("requests", () => {
  test("are answered, and have ids of their own", async () => {
    const bridge = new TestBridge();
    const [session] = await opened(bridge);
    bridge.answer = ({ op }) => (op === "services" ? { services: ["tcp/1400"], more: "odd", __proto__: 1 } : {});
    expect(await session.request("services", {})).toEqual({ services: ["tcp/1400"] });
    expect(await session.request("rename", { phone: PHONE, name: "Zoë" })).toEqual({});
    expect(bridge.requests).toEqual([
      { op: "services", id: 1 },
      { op: "rename", id: 2, phone: PHONE, name: "Zoë" },
    ]);
  });

  test("queue: one is out at a time", async () => {
    const bridge = new TestBridge();
    const [session] = await opened(bridge);
    let out = 0;
    bridge.answer = () => {
      expect(++out).toBe(1);
      out--;
      return { services: [] };
    };
    await Promise.all(Array.from({ length: 5 }, () => session.request("services", {})));
    expect(bridge.requests.map((one) => one.id)).toEqual([1, 2, 3, 4, 5]);
  });

  test("that are refused say why, and the session goes on", async () => {
    const bridge = new TestBridge();
    const [session, , overs] = await opened(bridge);
    bridge.answer = () => ({ ok: false, error: "not-found", say: "No such phone.\u0007\u202e" });
    const refused = session.request("revoke", { phone: PHONE });
    await expect(refused).rejects.toBeInstanceOf(Refused);
    await expect(refused).rejects.toMatchObject({ word: "not-found", say: "No such phone.  " });
    bridge.answer = () => ({ ok: false });
    await expect(session.request("revoke", { phone: PHONE })).rejects.toMatchObject({ word: "failed", say: "" });
    bridge.answer = () => ({});
    await session.request("confirm", {});
    expect(overs).toEqual([]);
  });

  test("that fit into no message are not sent, and the session goes on", async () => {
    const bridge = new TestBridge();
    const [session] = await opened(bridge);
    const name = (bytes: number) => "x".repeat(bytes - '{"op":"enrol","id":1,"name":""}'.length);
    bridge.answer = () => ({ phone: PHONE, key: "00".repeat(32), role: "owner" });
    await session.request("enrol", { name: name(992) });
    await expect(session.request("enrol", { name: name(993) })).rejects.toMatchObject({ word: "bad-request" });
    await session.request("confirm", {});
    expect(bridge.requests.map((one) => one.op)).toEqual(["enrol", "confirm"]);
  });

  test.each([
    [{ id: 7 }],
    [{ id: "1" }],
    [{ ok: "yes" }],
    [{ ok: null }],
    [{ services: [1] }],
    [{ services: null }],
    [{ services: undefined }],
  ])("an answer with %j ends the session", async (odd) => {
    const bridge = new TestBridge();
    const [session, link, overs] = await opened(bridge);
    bridge.answer = () => ({ services: [], ...odd });
    await expect(session.request("services", {})).rejects.toEqual(trouble("broken"));
    expect([link.gone, overs]).toEqual([true, ["broken"]]);
    await expect(session.request("services", {})).rejects.toEqual(trouble("broken"));
    expect(overs).toHaveLength(1);
  });

  test.each(["[]", "1", "null", '"', "", "{", "{}", '{"op":"welcome"}', "[".repeat(900), "\ud800"])(
    "the record %j ends the session",
    async (text) => {
      const bridge = new TestBridge();
      const [session, link, overs] = await opened(bridge);
      bridge.answer = () => null;
      const asked = session.request("log", {});
      await link.say(text || " ");
      await expect(asked).rejects.toEqual(trouble("broken"));
      expect(overs).toEqual(["broken"]);
    },
  );

  test("bytes that are no UTF-8 are no text", () => {
    expect(() => parse(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(trouble("broken"));
    expect(parse(utf8('{"a":"ä"}'))).toEqual({ a: "ä" });
  });

  test("a record that nobody asked for ends the session at the next request", async () => {
    const bridge = new TestBridge();
    const [session, link] = await opened(bridge);
    await link.say({ id: 1, ok: true });
    await expect(session.request("confirm", {})).rejects.toEqual(trouble("broken"));
  });

  test("more records than anybody may have asked for end the session at once", async () => {
    const [, link, overs] = await opened(new TestBridge());
    for (let number = 0; number < 2; number++) await link.say({ id: 1, ok: true });
    expect(overs).toEqual([]);
    await link.say({ id: 1, ok: true });
    expect([link.gone, overs]).toEqual([true, ["broken"]]);
  });

  test("an answer that is complete counts, though the bridge is gone", async () => {
    const bridge = new TestBridge();
    const [session, link, overs] = await opened(bridge);
    bridge.answer = ({ id }) => {
      void link.say({ id, ok: true, services: [] }).then(() => link.hangUp());
      return null;
    };
    expect(await session.request("services", {})).toEqual({ services: [] });
    expect(overs).toEqual(["out-of-range"]);
  });

  test("an ERROR means nothing but the end, once the bridge is proven", async () => {
    const bridge = new TestBridge();
    for (const code of [1, 2, 3, 4, 5, 6, 9]) {
      const [session, link, overs] = await opened(bridge);
      bridge.answer = () => null;
      const asked = session.request("confirm", {});
      link.notify(Uint8Array.of(5, code));
      await expect(asked).rejects.toEqual(trouble("broken"));
      expect(overs).toEqual(["broken"]);
    }
  });

  test("a bridge that does not answer", async () => {
    const bridge = new TestBridge();
    const [session, link, overs] = await opened(bridge, { ...SHORT, handshake: LIMITS.handshake });
    bridge.answer = () => null;
    await expect(session.request("scan", {})).rejects.toEqual(trouble("timeout"));
    expect([link.gone, overs]).toEqual([true, ["timeout"]]);
  });

  test("a connection that breaks: under way, between requests, and for those that wait", async () => {
    const bridge = new TestBridge();
    const [session, link, overs] = await opened(bridge);
    bridge.answer = () => {
      link.hangUp();
      return null;
    };
    const [one, other] = [session.request("confirm", {}), session.request("confirm", {})];
    await expect(one).rejects.toEqual(trouble("out-of-range"));
    await expect(other).rejects.toEqual(trouble("out-of-range"));
    expect(overs).toEqual(["out-of-range"]);
    const [later, laterLink, laterOvers] = await opened(bridge);
    laterLink.hangUp();
    expect(laterOvers).toEqual(["out-of-range"]);
    await expect(later.request("confirm", {})).rejects.toEqual(trouble("out-of-range"));
  });

  test.each([
    ["silence", { ...LIMITS, silence: 0 }],
    ["session", { ...LIMITS, session: 0 }],
  ])("a bridge's own limit explains its hanging up: %s", async (_, limits) => {
    const bridge = new TestBridge();
    const [, link, overs] = await opened(bridge, limits);
    link.hangUp();
    expect(overs).toEqual(["hung-up"]);
    const [session, laterLink] = await opened(bridge, limits);
    laterLink.write = () => Promise.reject(new Trouble("out-of-range"));
    await expect(session.request("confirm", {})).rejects.toEqual(trouble("hung-up"));
  });

  test("a phone that slept for too long: the bridge is gone when it speaks", async () => {
    const [session, link, overs] = await opened(new TestBridge());
    const now = Date.now();
    const clock = vi.spyOn(Date, "now").mockReturnValue(now + LIMITS.silence);
    link.write = () => Promise.reject(new Trouble("out-of-range"));
    await expect(session.request("confirm", {})).rejects.toEqual(trouble("hung-up"));
    clock.mockRestore();
    expect(overs).toEqual(["hung-up"]);
  });

  test("a bridge's limit explains nothing but its hanging up", async () => {
    const bridge = new TestBridge();
    const [session] = await opened(bridge, { ...LIMITS, silence: 0 });
    bridge.answer = () => ({ id: 9 });
    await expect(session.request("confirm", {})).rejects.toEqual(trouble("broken"));
  });

  test("end says bye, and is no trouble", async () => {
    const bridge = new TestBridge();
    const [session, link, overs] = await opened(bridge);
    await session.end();
    await session.end();
    expect([bridge.requests.map((one) => one.op), link.gone, overs]).toEqual([["bye"], true, [null]]);
    await expect(session.request("confirm", {})).rejects.toEqual(trouble("hung-up"));
  });

  test("end with a bridge that is gone, or says nothing", async () => {
    const bridge = new TestBridge();
    const [session, link, overs] = await opened(bridge, { ...LIMITS, bye: 30 });
    bridge.answer = () => null;
    await session.end();
    expect([link.gone, overs]).toEqual([true, [null]]);
    const [later, laterLink] = await opened(bridge);
    laterLink.hangUp();
    await later.end();
  });

  test.each(["reboot", "reset"] as const)("after %s the session is over, and nothing is wrong", async (op) => {
    const bridge = new TestBridge();
    const [session, link, overs] = await opened(bridge);
    await session.request(op, { bridge: bridge.id });
    expect([link.gone, overs]).toEqual([true, [null]]);
    bridge.answer = () => ({ ok: false, error: "not-allowed", say: "No." });
    const [guest, , none] = await opened(bridge);
    await expect(guest.request(op, { bridge: bridge.id })).rejects.toBeInstanceOf(Refused);
    expect(none).toEqual([]);
  });
});

describe("pages", () => {
  const network = (at: number) => ({ ssid: `n${at}`, rssi: -at, security: "psk" });

  test("are joined", async () => {
    const bridge = new TestBridge();
    const [session] = await opened(bridge);
    bridge.answer = ({ page }) => ({ networks: [network(page as number)], more: (page as number) < 3 });
    const { networks } = await session.pages("scan", {});
    expect(networks.map((one) => one.ssid)).toEqual(["n0", "n1", "n2", "n3"]);
    expect(bridge.requests.map((one) => one.page)).toEqual([0, 1, 2, 3]);
  });

  test("of counters, and the other members of the first page", async () => {
    const bridge = new TestBridge();
    const [session] = await opened(bridge);
    bridge.answer = ({ page }) => ({ counters: page ? { b: 2, __proto__: 3 } : { a: 1 }, more: !page });
    expect(await session.pages("counters", {})).toEqual({ counters: { a: 1, b: 2 } });
    bridge.answer = ({ page }) => (page ? { networks: [] } : { networks: [], mac: "02:00:00:00:00:01", more: true });
    expect(await session.pages("networks", {})).toEqual({ networks: [], mac: "02:00:00:00:00:01" });
  });

  test("nothing comes in between", async () => {
    const bridge = new TestBridge();
    const [session] = await opened(bridge);
    bridge.answer = ({ op, page }) => (op === "log" ? { lines: [`${page}`], more: page !== 2 } : {});
    const all = session.pages("log", {});
    await session.request("confirm", {});
    expect(await all).toEqual({ lines: ["0", "1", "2"] });
    expect(bridge.requests.map((one) => one.op)).toEqual(["log", "log", "log", "confirm"]);
  });

  test("a list that does not end, or whose further page is odd, ends the session", async () => {
    const bridge = new TestBridge();
    const [session, , overs] = await opened(bridge);
    bridge.answer = () => ({ lines: ["x"], more: true });
    await expect(session.pages("log", {})).rejects.toEqual(trouble("broken"));
    expect([bridge.requests.length, overs]).toEqual([64, ["broken"]]);
    const [later] = await opened(bridge);
    bridge.answer = ({ page }) => (page ? { lines: {} } : { lines: [], more: true });
    await expect(later.pages("log", {})).rejects.toEqual(trouble("broken"));
  });
});

const STATUS = {
  bridge: "b0b1b2b3b4b5b6b7",
  version: "0.1.0",
  protocol: 1,
  mode: "passthrough",
  ethernet: null,
  ble: { state: "managed", left_s: null },
  uplink: { state: "up", ssid: "dorm", addr: "10.66.0.117", mask: "255.255.0.0", router: "10.66.0.1" },
  segment: { state: "up", speaker: "02:00:00:00:77:01", addr: "10.66.0.117", host: "192.168.77.1" },
  claim_port: 7780,
  phones: 1,
  leases: [{ phone: PHONE, addr: "10.66.0.130", mac: null, by: "address", left_s: 5 }],
  flows: 0,
  uptime_s: 12,
};
const GOOD: { [Name in OpName]?: Record<string, unknown> } = {
  enrol: { phone: PHONE, key: "00".repeat(32), role: "owner" },
  status: STATUS,
  counters: { counters: { drop_no_lease: 3 } },
  token: { token: "00".repeat(16), url: `http://10.66.0.117:7780/t#${"00".repeat(16)}` },
  phones: { phones: [{ phone: PHONE, name: "Ada", role: "owner" }] },
  invite: { invite: "X", link: "speakeasy:#invite=X", expires_s: 600 },
  scan: { networks: [{ ssid: "dorm", rssi: -40, security: "psk" }] },
  networks: { networks: [{ ssid: "dorm", open: false, user: "ada" }], mac: "02:00:00:00:00:01" },
  segment: { ssid: "speaker", key: "secret", state: "up" },
  addressing: { mode: "private", hosts: ["10.66.0.5"] },
  services: { services: ["tcp/1400"] },
  ethernet: { ethernet: "segment", now: null },
  setup: { left_s: 0, seen: ["02:00:00:00:00:01"], forgotten: 0, undecided: false, speaker: null },
  log: { lines: ["12 s pairing: a phone"] },
};

describe("answers", () => {
  test.each(Object.entries(GOOD))("to %s are as SPEC says", (op, answer) => {
    expect(read(op as OpName, answer)).toEqual(answer);
    expect(read(op as OpName, { ...answer, more: false, id: 1, ok: true, later: 1 })).toEqual(answer);
  });

  test("each list of pages is a member of its answer", () => {
    for (const [op, name] of Object.entries(LISTS)) expect(GOOD[op as OpName]).toHaveProperty(name);
  });

  test("a list is no object, nor the other way round", () => {
    expect(() => read("counters", { counters: [1] })).toThrow(trouble("broken"));
    expect(() => read("status", { ...STATUS, uplink: [] })).toThrow(trouble("broken"));
    expect(() => read("log", { lines: { 0: "x" } })).toThrow(trouble("broken"));
  });

  test("an address that there is not is null", () => {
    const status = read("status", {
      ...STATUS,
      uplink: { ...STATUS.uplink, addr: "", mask: "", router: "", failed: { ssid: "x", state: "wrong-key" } },
      segment: { ...STATUS.segment, addr: "", speaker: null },
      damaged: true,
    });
    expect(status.uplink).toMatchObject({
      addr: null,
      mask: null,
      router: null,
      failed: { ssid: "x", state: "wrong-key" },
    });
    expect(status.segment).toMatchObject({ addr: null, speaker: null });
    expect(status.damaged).toBe(true);
  });

  test("words of a later bridge are taken for harmless ones", () => {
    const status = read("status", {
      ...STATUS,
      mode: "tunnel",
      uplink: { ...STATUS.uplink, state: "roaming" },
      segment: { ...STATUS.segment, state: "crowded" },
    });
    expect([status.mode, status.uplink.state, status.segment.state]).toEqual(["passthrough", "failed", "down"]);
    expect(read("scan", { networks: [{ ssid: "", rssi: 0, security: "sae" }] }).networks[0]?.security).toBe("other");
  });

  test.each(["javascript:alert(1)", "https://10.66.0.117:7780/t#00", "http://evil.example/t#00", 1, null])(
    "%j is no address to open",
    (url) => expect(() => read("token", { ...GOOD.token, url })).toThrow(trouble("broken")),
  );

  test("names are printable, those of networks as they are: they are said again", () => {
    const odd = "a\u202eb\u0000";
    expect(read("phones", { phones: [{ phone: PHONE, name: odd, role: "x" }] }).phones).toEqual([
      { phone: PHONE, name: "a b ", role: "guest" },
    ]);
    expect(read("scan", { networks: [{ ssid: odd, rssi: 0, security: "open" }] }).networks[0]?.ssid).toBe(odd);
    expect(printable("x".repeat(LONGEST_SAY + 1))).toHaveLength(LONGEST_SAY);
    expect(printable("👩‍🚀")).toBe("👩‍🚀");
    expect(printable(1)).toBe("");
  });

  test("whatever stands in an answer, it has its form or is Trouble", () => {
    const random = new Random(42);
    const odd: unknown[] = [
      null,
      undefined,
      "",
      "x",
      0,
      -1,
      1.5,
      1e300,
      true,
      [],
      [[]],
      [null],
      {},
      { a: 1 },
      "1.2.3.4",
    ];
    /** The form of a value: its type, and that of what is in it. */
    const form = (value: unknown): string =>
      Array.isArray(value)
        ? `[${value[0] === undefined ? "" : form(value[0])}]`
        : value === null
          ? "null"
          : typeof value;
    const disturb = (value: unknown): unknown => {
      if (!random.below(6)) return odd[random.below(odd.length)];
      if (Array.isArray(value)) return value.map(disturb);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, disturb(member)]));
    };
    let [good, bad] = [0, 0];
    for (let turn = 0; turn < 5000; turn++) {
      const entries = Object.entries(GOOD);
      const [op, answer] = entries[random.below(entries.length)]!;
      try {
        const odder = Object.fromEntries(Object.entries(answer).map(([name, member]) => [name, disturb(member)]));
        const value = read(op as OpName, odder) as Record<string, unknown>;
        for (const [name, member] of Object.entries(value)) {
          if (["ethernet", "now", "speaker"].includes(name) || Array.isArray(member)) continue;
          expect([name, form(member)]).toEqual([name, form(name === "damaged" ? true : answer[name])]);
        }
        good++;
      } catch (error) {
        expect(error).toBeInstanceOf(Trouble);
        bad++;
      }
    }
    expect(Math.min(good, bad)).toBeGreaterThan(500);
  });
});

test("a bridge gone mad: whatever comes, whenever, all ends in an answer, Refused or Trouble", async () => {
  const random = new Random(2026);
  const ends = new Map<string, number>();
  let link: TestLink;
  const bent = (message: Bytes): Bytes[] => {
    if (random.below(6)) return [message];
    if (!random.below(6)) {
      queueMicrotask(() => link.hangUp()); // or every silence would take its time
      return [];
    }
    const other = message.slice();
    other[random.below(other.length)]! ^= 1 << random.below(8);
    const made = random.bytes(1 + random.below(1000));
    made[0] = random.below(7);
    return [[other], [message, message], [message.slice(0, 1 + random.below(message.length))], [made], [made, message]][
      random.below(5)
    ]!;
  };
  const words = ["not-found", 1, null, "", {}];
  for (let turn = 0; turn < 150; turn++) {
    const bridge = new TestBridge();
    bridge.spoil = bent;
    if (!random.below(8)) bridge.loseAt = random.below(12);
    bridge.answer = ({ page }) =>
      random.below(3)
        ? { lines: ["x"], more: page !== 2 }
        : {
            ok: !random.below(2),
            error: words[random.below(5)],
            say: words[random.below(5)],
            lines: words[random.below(5)],
          };
    let overs = 0;
    link = bridge.connect();
    try {
      const session = await openSession(link, await phoneKey(bridge), bridge.id, undefined, {
        ...LIMITS,
        lastWords: 20,
      });
      session.onOver = () => overs++;
      const asked = [session.pages("log", {}), session.request("log", {}), session.request("confirm", {})];
      const settled = await Promise.allSettled(asked);
      await session.end();
      expect([overs, link.gone]).toEqual([1, true]);
      for (const one of settled) if (one.status === "rejected") throw one.reason;
      ends.set("answered", (ends.get("answered") ?? 0) + 1);
    } catch (error) {
      const kind = error instanceof Trouble ? error.kind : error instanceof Refused ? "refused" : error;
      if (typeof kind !== "string") throw error;
      ends.set(kind, (ends.get(kind) ?? 0) + 1);
    }
    expect(link.gone).toBe(true);
  }
  // It was mad in more than one way.
  for (const kind of ["answered", "refused", "broken"]) expect([kind, ends.get(kind) ?? 0]).not.toEqual([kind, 0]);
});
