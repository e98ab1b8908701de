/** The chip's loader, by Espressif's esptool-js: which chip, how much flash, and the firmware written to it and read back. */
import { ESPLoader, Transport, UnexpectedChipIdError, UnexpectedChipMagicError } from "esptool-js";
import type { FlashSizeValues } from "esptool-js/lib/types/arguments.js";
import { BAUD, BUFFER, pause } from "./console.ts";
import { CHIPS } from "./chips.ts";
import type { Image } from "./image.ts";
import { md5 } from "./md5.ts";
import { FlashTrouble } from "./trouble.ts";

/** Bits a second, through a USB-to-serial chip; the chip's own USB knows no rate. */
const FAST_BAUD = 460800;
/** The USB vendor id of chips that are USB devices themselves. */
export const ESPRESSIF = 0x303a;
/** Milliseconds that the loader has for an answer: a computer may be busy with something else. */
const ANSWER_LIMIT = 10_000;
const CLOSE_LIMIT = 5_000;
/** How often a chip is sent into its loader, each time with several attempts to be heard. */
const ATTEMPTS = 3;
const RESETS = 4;

/** The port as esptool-js wants it. When the board goes away whoever waits for it hears of it at once. */
class Cable extends Transport {
  lost = false;
  private readonly goneAway: Promise<never>;
  private sayGone: () => void = () => {};
  private closing = false;

  constructor(private readonly port: SerialPort) {
    super(port);
    this.goneAway = new Promise((_, reject) => {
      this.sayGone = () => {
        this.lost = true;
        reject(new FlashTrouble("gone"));
      };
    });
    this.goneAway.catch(() => {}); // whoever waits hears of it
    port.addEventListener("disconnect", this.sayGone);
  }

  /** It would write to the browser's console. */
  override trace(): void {}

  override async connect(baud?: number, options?: Parameters<Transport["connect"]>[1]): Promise<void> {
    try {
      await super.connect(baud, options);
    } catch {
      throw new FlashTrouble("not-opened");
    }
    this.closing = false;
  }

  override async readLoop(): Promise<void> {
    await super.readLoop();
    if (!this.closing) this.sayGone();
  }

  override async read(timeout: number): Promise<Uint8Array> {
    return Promise.race([super.read(timeout), this.goneAway]);
  }

  override async write(data: Uint8Array): Promise<void> {
    const writer = this.port.writable?.getWriter();
    if (!writer) throw new FlashTrouble("gone");
    try {
      await Promise.race([writer.write(this.slipWriter(data)), this.goneAway]);
    } finally {
      writer.releaseLock();
    }
  }

  override async disconnect(): Promise<void> {
    this.closing = true;
    await super.disconnect();
  }

  /** Never rejects. */
  async close(): Promise<void> {
    const closed = this.lost ? this.port.close() : this.disconnect();
    await Promise.race([closed.catch(() => {}), pause(CLOSE_LIMIT)]);
    this.port.removeEventListener("disconnect", this.sayGone);
  }
}

/** esptool-js with more patience. */
class Loader extends ESPLoader {
  override DEFAULT_TIMEOUT = ANSWER_LIMIT;
  /** Whether a loader answered. */
  synced = false;

  override async sync(): ReturnType<ESPLoader["sync"]> {
    const answer = await super.sync();
    this.synced = true;
    return answer;
  }

  override async memFinish(entry: number): Promise<void> {
    const packet = this._appendArray(this._intToByteArray(entry === 0 ? 1 : 0), this._intToByteArray(entry));
    await this.checkCommand("leave RAM download mode", this.ESP_MEM_END, packet);
  }
}

const quiet = { clean() {}, write() {}, writeLine() {} };

/** A board whose loader runs: it was looked at, and nothing was written. */
export class Board {
  private readonly cable: Cable;
  private readonly loader: Loader;

  private constructor(port: SerialPort) {
    this.cable = new Cable(port);
    this.loader = new Loader({
      transport: this.cable,
      baudrate: FAST_BAUD,
      romBaudrate: BAUD,
      serialOptions: { bufferSize: BUFFER },
      terminal: quiet,
    });
  }

  /**
   * Looks whether there is the chip that the image is for, with flash enough; nothing is written. Raises FlashTrouble,
   * with the port closed; "gone" where the board went away.
   */
  static async look(port: SerialPort, image: Image): Promise<Board> {
    for (let attempt = 1; ; attempt++) {
      const board = new Board(port);
      try {
        await board.loader.connect("default_reset", RESETS);
        await board.check(image);
        return board;
      } catch (error) {
        const trouble = board.troubleOf(error);
        await board.close();
        if (trouble.kind !== "stopped-answering" || attempt === ATTEMPTS) throw trouble;
      }
    }
  }

  private troubleOf(error: unknown): FlashTrouble {
    if (this.cable.lost) return new FlashTrouble("gone");
    if (error instanceof FlashTrouble) return error;
    if (error instanceof UnexpectedChipIdError || error instanceof UnexpectedChipMagicError) {
      return new FlashTrouble("unknown-chip");
    }
    return new FlashTrouble(this.loader.synced ? "stopped-answering" : "no-answer");
  }

  private async check(image: Image): Promise<void> {
    const loader = this.loader;
    const wanted = CHIPS[image.chip].name;
    const found = loader.chip.CHIP_NAME;
    if (found !== wanted) throw new FlashTrouble("wrong-chip", { found, wanted });
    if (loader.secureDownloadMode) throw new FlashTrouble("locked");
    await loader.chip.postConnect?.(loader);
    await loader.runStub();
    if (this.cable.getVid() !== ESPRESSIF) await loader.changeBaud();
    const size = await loader.detectFlashSize();
    if (!size) throw new FlashTrouble("unknown-flash");
    const has = loader.flashSizeBytes(size as FlashSizeValues);
    if (has < image.flashSize) throw new FlashTrouble("too-small", { has, needs: image.flashSize });
  }

  /** Writes the image, and compares its checksum with that of the flash. `progress`: the part that is written, 0 to 1. Raises FlashTrouble. */
  async write(image: Image, erase: boolean, progress: (part: number) => void): Promise<void> {
    try {
      await this.loader.writeFlash({
        fileArray: [{ data: image.data, address: image.offset }],
        flashMode: "keep",
        flashFreq: "keep",
        flashSize: "keep",
        eraseAll: erase,
        compress: true,
        reportProgress: (_file, written, total) => progress(written / total),
        calculateMD5Hash: md5,
      });
    } catch (error) {
      if (this.cable.lost) throw new FlashTrouble(erase ? "pulled-erased" : "pulled-writing");
      const why = error instanceof Error ? error.message.split("\n")[0]! : "";
      throw new FlashTrouble(erase ? "not-written-erased" : "not-written", { why: why.replace(/[.!]+$/, "") });
    }
  }

  /** The port can be opened by another then. Never rejects. */
  async close(): Promise<void> {
    await this.cable.close();
  }
}
