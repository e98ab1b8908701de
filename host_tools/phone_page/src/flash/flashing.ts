/** From the port to the label: look, write, read back, start, ask. */
import { askLabel, Console, type Told, waitForStart } from "./console.ts";
import type { Image } from "./image.ts";
import { Board, ESPRESSIF } from "./loader.ts";
import { FlashTrouble, type FlashTroubleKind } from "./trouble.ts";

export type Phase = "looking" | "erasing" | "writing" | "checking" | "starting" | "asking";

/** What the screen does meanwhile. */
export interface Watcher {
  /** `part`: how much of it is done, 0 to 1; null: nobody knows. */
  phase(phase: Phase, part: number | null): void;
  /** The board is another USB device now, and was not seen to come back: the person chooses it. Rejects with FlashTrouble. */
  chooseAgain(): Promise<SerialPort>;
}

/** Milliseconds until a chip with USB of its own is there again after a start. */
const BACK_LIMIT = 15_000;

/** Puts the image on the board; what its label says. Raises FlashTrouble. */
export async function flash(port: SerialPort, image: Image, erase: boolean, watcher: Watcher): Promise<Told> {
  watcher.phase("looking", null);
  const [board, at] = await look(port, image, watcher);
  try {
    watcher.phase(erase ? "erasing" : "writing", erase ? null : 0);
    await board.write(image, erase, (part) => watcher.phase(part < 1 ? "writing" : "checking", part < 1 ? part : null));
  } finally {
    await board.close();
  }
  watcher.phase("starting", null);
  return tell(at, watcher, true);
}

/** What the label of a bridge on a cable says. It starts anew. Raises FlashTrouble. */
export async function label(port: SerialPort, watcher: Watcher): Promise<Told> {
  return tell(port, watcher, false);
}

async function look(port: SerialPort, image: Image, watcher: Watcher): Promise<[Board, SerialPort]> {
  const awaited = new Return(port);
  let at = port;
  try {
    try {
      return [await Board.look(at, image), at];
    } catch (error) {
      if (!isGone(error)) throw error;
      // On its way into the loader a chip with USB of its own goes away, and comes back as another device.
      at = (await awaited.within(BACK_LIMIT)) ?? (await watcher.chooseAgain());
      return [await Board.look(at, image), at];
    }
  } catch (error) {
    if (isGone(error)) throw new FlashTrouble("pulled");
    if (error instanceof FlashTrouble && GOES_ON.includes(error.kind)) await restart(at);
    throw error;
  } finally {
    awaited.end();
  }
}

/** What a board is found to be that is none for this: it goes on with what it had. */
const GOES_ON: readonly FlashTroubleKind[] = [
  "wrong-chip",
  "unknown-chip",
  "locked",
  "unknown-flash",
  "too-small",
  "stopped-answering",
];

const isGone = (error: unknown) => error instanceof FlashTrouble && error.kind === "gone";

async function tell(port: SerialPort, watcher: Watcher, written: boolean): Promise<Told> {
  const awaited = new Return(port);
  try {
    return await tellAt(port, watcher, written);
  } catch (error) {
    if (!isGone(error)) throw error;
    const back = (await awaited.within(BACK_LIMIT)) ?? (await watcher.chooseAgain());
    return await tellAt(back, watcher, false);
  } finally {
    awaited.end();
  }
}

async function tellAt(port: SerialPort, watcher: Watcher, starts: boolean): Promise<Told> {
  const line = await Console.open(port);
  try {
    if (starts) {
      await line.restart();
      await waitForStart(line);
    }
    watcher.phase("asking", null);
    return await askLabel(line);
  } finally {
    await line.close();
  }
}

/** It goes on with what it had. */
async function restart(port: SerialPort): Promise<void> {
  try {
    const line = await Console.open(port);
    await line.restart();
    await line.close();
  } catch {
    // It was pulled: then it starts at the next power.
  }
}

/** A board that goes away and comes back: what plugs itself in from now on, if it is by the same maker. */
class Return {
  private found: SerialPort | null = null;
  private wake: () => void = () => {};
  private readonly maker: number | undefined;
  private readonly seen = (event: Event) => {
    const port = event.target;
    if (!port || !("getInfo" in port) || (port as SerialPort).getInfo().usbVendorId !== this.maker) return;
    this.found = port as SerialPort;
    this.wake();
  };

  constructor(port: SerialPort) {
    this.maker = port.getInfo().usbVendorId;
    navigator.serial.addEventListener("connect", this.seen);
  }

  /** The port that it is on then; null if there is none after so many ms. Raises FlashTrouble: it does not come by itself. */
  async within(limit: number): Promise<SerialPort | null> {
    if (this.maker !== ESPRESSIF) throw new FlashTrouble("gone");
    if (!this.found) {
      await new Promise<void>((woken) => {
        const timer = setTimeout(woken, limit);
        this.wake = () => {
          clearTimeout(timer);
          woken();
        };
      });
    }
    return this.found;
  }

  end(): void {
    navigator.serial.removeEventListener("connect", this.seen);
  }
}
