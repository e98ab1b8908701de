import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Console, waitForStart } from "./console.ts";
import { label, type Watcher } from "./flashing.ts";
import { asPort, Port } from "./testing/port.ts";
import { FlashTrouble } from "./trouble.ts";

const ADAPTER = 0x10c4;
const ESPRESSIF = 0x303a;
const TOLD = { bridge: "0123456789abcdef", code: "00000-00000-00000-00000-00000-00", phones: 0, owners: 0 };

/** MicroPython's raw prompt, with the firmware's answer. */
function prompt(answer: string, port: Port, text: string) {
  if (text.includes("\x01")) port.say("raw REPL; CTRL-B to exit\r\n>");
  if (text.includes("console.label()")) port.say(`OK${answer}\r\n\x04\x04>`);
  if (text.includes("machine.reset()")) port.say("OK");
}

const bridge = (vendor: number) => new Port(vendor, (text, port) => prompt(JSON.stringify(TOLD), port, text));
const nothing = (vendor: number) => new Port(vendor, () => {});

let serial: EventTarget;
let chosen: () => Promise<SerialPort>;
const phases: string[] = [];
const watcher: Watcher = { phase: (phase) => void phases.push(phase), chooseAgain: () => chosen() };

beforeEach(() => {
  vi.useFakeTimers();
  serial = new EventTarget();
  vi.stubGlobal("navigator", { serial });
  chosen = () => Promise.reject(new Error("not asked for"));
  phases.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** What comes of it, and after how many ms at most. */
async function outcome(work: Promise<unknown>, ms: number): Promise<unknown> {
  let done: unknown = "goes on";
  void work.then(
    (told) => (done = told),
    (error: unknown) => (done = error instanceof FlashTrouble ? error.kind : error),
  );
  await vi.advanceTimersByTimeAsync(ms);
  return done;
}

/** It plugs itself in. */
function plugIn(port: Port) {
  const event = new Event("connect");
  Object.defineProperty(event, "target", { value: port });
  serial.dispatchEvent(event);
}

describe("a label is asked for", () => {
  it("and told", async () => {
    const port = bridge(ADAPTER);
    expect(await outcome(label(asPort(port), watcher), 0)).toEqual(TOLD);
    expect(phases).toEqual(["asking"]);
    expect(port.readable, "the port was given back").toBeNull();
  });

  it("until it is told: a first start says other things, too", async () => {
    const answers = ["", "Traceback", JSON.stringify({ ...TOLD, code: "00000-00000-00000-00000-00000-01" })];
    const port = new Port(ADAPTER, (text, port) => {
      const answer = text.includes("label()") ? answers.shift() : undefined;
      prompt(answer ?? JSON.stringify(TOLD), port, text);
    });
    expect(await outcome(label(asPort(port), watcher), 2_900)).toBe("goes on");
    expect(await outcome(label(asPort(bridge(ADAPTER)), watcher), 0)).toEqual(TOLD);
    await vi.advanceTimersByTimeAsync(200);
    expect(answers).toEqual([]);
  });

  it("for a minute, and then the board starts anew", async () => {
    const port = nothing(ADAPTER);
    const asked = label(asPort(port), watcher);
    expect(await outcome(asked, 59_000)).toBe("goes on");
    expect(await outcome(asked, 8_000)).toBe("no-label");
    expect(port.resets).toEqual([false, true, false]);
    expect(port.readable).toBeNull();
  });

  it("of a port that cannot be opened", async () => {
    const port = bridge(ADAPTER);
    port.open = () => Promise.reject(new DOMException("Failed to open serial port.", "NetworkError"));
    expect(await outcome(label(asPort(port), watcher), 0)).toBe("not-opened");
  });
});

describe("a board that goes away", () => {
  const going = (vendor: number) => new Port(vendor, (_text, port) => port.lose());

  it("does not come back by itself if it has an adapter", async () => {
    expect(await outcome(label(asPort(going(ADAPTER)), watcher), 0)).toBe("gone");
  });

  it("is followed if it is a USB device itself", async () => {
    const asked = label(asPort(going(ESPRESSIF)), watcher);
    expect(await outcome(asked, 10_000)).toBe("goes on");
    plugIn(bridge(ADAPTER));
    expect(await outcome(asked, 1_000), "another maker's").toBe("goes on");
    plugIn(bridge(ESPRESSIF));
    expect(await outcome(asked, 0)).toEqual(TOLD);
  });

  it("is followed if it is back before it is missed", async () => {
    const port = new Port(ESPRESSIF, (_text, port) => {
      plugIn(bridge(ESPRESSIF));
      port.lose();
    });
    expect(await outcome(label(asPort(port), watcher), 0)).toEqual(TOLD);
  });

  it("is chosen once more if it is not seen to come back", async () => {
    chosen = () => Promise.resolve(asPort(bridge(ESPRESSIF)));
    const asked = label(asPort(going(ESPRESSIF)), watcher);
    expect(await outcome(asked, 14_999)).toBe("goes on");
    expect(await outcome(asked, 1)).toEqual(TOLD);
    chosen = () => Promise.reject(new FlashTrouble("nobody-chosen"));
    expect(await outcome(label(asPort(going(ESPRESSIF)), watcher), 15_000)).toBe("nobody-chosen");
  });

  it("as it starts has told its label", async () => {
    const port = new Port(ESPRESSIF, (text, port) => {
      if (text.includes("machine.reset()")) port.lose();
      else prompt(JSON.stringify(TOLD), port, text);
    });
    expect(await outcome(label(asPort(port), watcher), 0)).toEqual(TOLD);
  });
});

describe("a start", () => {
  const started = async (say: (port: Port) => void, ms: number) => {
    const port = nothing(ADAPTER);
    const line = await Console.open(asPort(port));
    say(port);
    return outcome(waitForStart(line), ms);
  };

  it("is what the firmware says, however it comes", async () => {
    const said = "rst:0x1 (POWERON)\r\n[12] app: Speakeasy 0.1.0 starts\r\n";
    expect(await started((port) => port.say(said), 0)).toBeUndefined();
    expect(await started((port) => [...said].forEach((symbol) => port.say(symbol)), 0)).toBeUndefined();
  });

  it("that is none is said to be none", async () => {
    expect(await started(() => {}, 89_999)).toBe("goes on");
    expect(await started(() => {}, 90_000)).toBe("silent");
    expect(await started((port) => port.say(" \r\n"), 90_000)).toBe("silent");
    expect(await started((port) => port.say("invalid header: 0xffffffff\r\n"), 90_000)).toBe("not-starting");
    expect(await started((port) => port.say("The filesystem appears to be corrupted."), 0)).toBe("used-before");
  });
});
