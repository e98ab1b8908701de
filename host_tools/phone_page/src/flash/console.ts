/** The firmware's serial console, which is MicroPython's prompt: that it has started, and what its label says. */
import { readSetupCode } from "../protocol/codes.ts";
import { FlashTrouble } from "./trouble.ts";

/** Bits a second, of the console and of the loader in the chip's ROM. */
export const BAUD = 115200;
/** Bytes that the browser keeps for us. */
export const BUFFER = 16 << 10;

// Milliseconds.
const BOOT_LIMIT = 90_000; // the first start makes the file system
const LABEL_LIMIT = 60_000;
const PROMPT_LIMIT = 5_000;
const ANSWER_LIMIT = 20_000;
const PAUSE = 1_000;
const RESET = 100;
const LONGEST = 64 << 10; // characters that are kept

const STARTS = /^\[\d+\] app: Speakeasy (\S+) starts\s*$/m;
const NO_FILES = "filesystem appears to be corrupted"; // MicroPython's, of what something else left on the flash
const ASK = "from speakeasy import console; console.label()";
const RESTART = "import machine; machine.reset()";
const INTERRUPT = "\r\x03";
const RAW = "\r\x01";
const RAW_PROMPT = "raw REPL; CTRL-B to exit\r\n>";
const RUN = "\x04";
const RAN = /OK([^\x04]*)\x04([^\x04]*)\x04>/;
// A line that may hold a setup code, or a part of it: groups of five letters and digits.
const SECRET = /setup|"code"|[0-9A-Z]{5}-[0-9A-Z]{2,5}/i;
const LINES_SHOWN = 4;

/** What the bridge says of itself: id (hex), setup code (secret), how many phones it knows; null: it cannot tell. */
export interface Told {
  bridge: string;
  code: string;
  phones: number | null;
  owners: number | null;
}

export const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** A serial port that is open, and ours until it is closed. */
export class Console {
  private said = "";
  private gone = false;
  private wake: () => void = () => {};
  private reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  private readonly reading: Promise<void>;

  private constructor(private readonly port: SerialPort) {
    this.reading = this.read();
  }

  /** Raises FlashTrouble. */
  static async open(port: SerialPort): Promise<Console> {
    try {
      await port.open({ baudRate: BAUD, bufferSize: BUFFER });
    } catch {
      throw new FlashTrouble("not-opened");
    }
    return new Console(port);
  }

  private async read(): Promise<void> {
    const decoder = new TextDecoder();
    // After noise on the line there is another stream; when the board is gone there is none.
    while (this.port.readable && !this.gone) {
      this.reader = this.port.readable.getReader();
      try {
        for (;;) {
          const { value, done } = await this.reader.read();
          if (done) return;
          this.said = (this.said + decoder.decode(value, { stream: true })).slice(-LONGEST);
          this.wake();
        }
      } catch {
        // It is asked for anew.
      } finally {
        this.reader.releaseLock();
        this.reader = null;
      }
    }
    this.gone = true;
    this.wake();
  }

  /** Starts what is on the flash: RTS resets the chip, DTR before it would lead into the loader. */
  async restart(): Promise<void> {
    try {
      await this.port.setSignals({ dataTerminalReady: false, requestToSend: false });
      await this.port.setSignals({ dataTerminalReady: false, requestToSend: true });
      await pause(RESET);
      await this.port.setSignals({ dataTerminalReady: false, requestToSend: false });
    } catch {
      this.gone = true;
    }
  }

  async write(text: string): Promise<void> {
    const writer = this.port.writable?.getWriter();
    if (!writer) throw new FlashTrouble("gone");
    try {
      await writer.write(new TextEncoder().encode(text));
    } catch {
      throw new FlashTrouble("gone");
    } finally {
      writer.releaseLock();
    }
  }

  /** What `find` finds in all that is said; null if it finds nothing in so many ms. Raises FlashTrouble. */
  async until<Found>(find: (said: string) => Found | null, limit: number): Promise<Found | null> {
    const deadline = Date.now() + limit;
    for (;;) {
      const found = find(this.said);
      if (found !== null) return found;
      if (this.gone) throw new FlashTrouble("gone");
      const left = deadline - Date.now();
      if (left <= 0) return null;
      await new Promise<void>((woken) => {
        const timer = setTimeout(woken, left);
        this.wake = () => {
          clearTimeout(timer);
          woken();
        };
      });
    }
  }

  forget(): void {
    this.said = "";
  }

  /** The last lines, for a message: never the label. */
  shown(): string {
    return shown(this.said);
  }

  /** Whether anything but white space was heard. */
  heard(): boolean {
    return this.said.trim() !== "";
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.gone = true;
    try {
      await this.reader?.cancel();
      await this.reading;
      await this.port.close();
    } catch {
      // It is gone already.
    }
  }
}

export function shown(said: string): string {
  const lines = said.split("\n").map((line) => line.replace(/[^\x20-\x7e]/g, "").trim());
  return lines
    .filter((line) => line && !SECRET.test(line))
    .map((line) => line.slice(0, 100))
    .slice(-LINES_SHOWN)
    .join(" / ");
}

/** Waits until the firmware says that it starts. Raises FlashTrouble ("gone": the port went away, and what it said with it). */
export async function waitForStart(line: Console, limit = BOOT_LIMIT): Promise<void> {
  const how = await line.until((said) => {
    if (said.includes(NO_FILES)) return "used-before";
    return STARTS.test(said) ? "starts" : null;
  }, limit);
  if (how === "used-before") throw new FlashTrouble("used-before");
  if (how === null) {
    throw line.heard() ? new FlashTrouble("not-starting", { said: line.shown() }) : new FlashTrouble("silent");
  }
}

/** Asks the firmware for its label, for which it is stopped, and has it start again. Raises FlashTrouble. */
export async function askLabel(line: Console, limit = LABEL_LIMIT): Promise<Told> {
  const deadline = Date.now() + limit;
  let told: Told | null = null;
  try {
    while (told === null) {
      const said = await run(line, ASK);
      told = said === null ? null : readTold(said);
      if (told === null && Date.now() > deadline) throw new FlashTrouble("no-label");
      if (told === null) await pause(PAUSE);
    }
  } catch (error) {
    await line.restart();
    throw error;
  }
  try {
    line.forget();
    await line.write(RESTART + RUN);
    // Its own word that the line was taken: closed before, the port might lose it.
    await line.until((said) => (said.includes("OK") ? true : null), PROMPT_LIMIT);
  } catch {
    // As it starts it goes away, if it is a USB device itself.
  }
  return told;
}

/** What the code prints; null if the prompt does not answer, or the code failed. It may be the setup code. */
async function run(line: Console, code: string): Promise<string | null> {
  line.forget();
  await line.write(INTERRUPT);
  await line.write(RAW);
  if ((await line.until((said) => (said.includes(RAW_PROMPT) ? true : null), PROMPT_LIMIT)) === null) return null;
  line.forget();
  await line.write(code + RUN);
  return line.until(readRun, ANSWER_LIMIT);
}

/** What was printed, of the raw prompt's answer; "" when the code failed; null while it is not whole. */
export function readRun(said: string): string | null {
  const ran = RAN.exec(said);
  if (!ran) return null;
  return ran[2] ? "" : ran[1]!;
}

/** The last line, if it is an answer: before it a first start may have said something. */
export function readTold(said: string): Told | null {
  try {
    const told: unknown = JSON.parse(said.trim().split("\n").at(-1)!);
    if (!told || typeof told !== "object") return null;
    const { bridge, code, phones, owners } = told as Record<string, unknown>;
    if (typeof bridge !== "string" || !/^[0-9a-f]{16}$/.test(bridge)) return null;
    if (typeof code !== "string" || !isCount(phones) || !isCount(owners)) return null;
    readSetupCode(code);
    return { bridge, code, phones, owners };
  } catch {
    return null; // garbled on its way, or something else that was said
  }
}

const isCount = (value: unknown): value is number | null =>
  value === null || (typeof value === "number" && Number.isSafeInteger(value) && value >= 0);
