/** Web Bluetooth as a Link (SPEC 2): the browser's list, GATT, fragments. */
import { type Link, Trouble } from "./protocol/types.ts";

export const SERVICE = "5ea50001-7a1c-4b0e-9d57-0f5a3c8e2b11";
export const INBOX = "5ea50002-7a1c-4b0e-9d57-0f5a3c8e2b11";
export const OUTBOX = "5ea50003-7a1c-4b0e-9d57-0f5a3c8e2b11";
export const INFO = "5ea50004-7a1c-4b0e-9d57-0f5a3c8e2b11";

/** Connecting often fails the first time, on Android most of all. One try that hangs is not repeated. */
export const TRIES = 3;
/** ms for one try. A browser waits for a bridge that is out of range for minutes, or for ever. */
export const CONNECT_LIMIT = 15_000;

const nameOf = (error: unknown): string => (error instanceof Error || error instanceof DOMException ? error.name : "");

/** Web Bluetooth, or Trouble `no-bluetooth`. */
function bluetooth(): Bluetooth {
  const found = (globalThis.navigator as Navigator | undefined)?.bluetooth as Bluetooth | undefined;
  if (!found) throw new Trouble("no-bluetooth");
  return found;
}

/** Why there can be no connection from here, as far as a browser tells before anybody has tried; else null. */
export async function bluetoothTrouble(): Promise<Trouble | null> {
  try {
    // Not every browser with Web Bluetooth has this question.
    const available = await bluetooth().getAvailability?.();
    return available === false ? new Trouble("bluetooth-off") : null;
  } catch (error) {
    return error instanceof Trouble ? error : null;
  }
}

/** What requestDevice() failed with. Chrome says NotFoundError for a list that was closed, and for all that it will not show. */
async function notChosen(error: unknown): Promise<Trouble> {
  const name = nameOf(error);
  if (name === "SecurityError" || name === "NotAllowedError" || name === "NotSupportedError")
    return new Trouble("bluetooth-off");
  const refused = error instanceof Error && /adapter|permission|disabled|low energy|not supported/i.test(error.message);
  return refused ? new Trouble("bluetooth-off") : ((await bluetoothTrouble()) ?? new Trouble("nobody-chosen"));
}

/**
 * Has the person choose a bridge in the browser's list, and connects to it. Only in answer to a tap.
 *
 * Rejects with Trouble: `no-bluetooth`, `bluetooth-off`, `nobody-chosen`, `not-a-bridge`, `out-of-range`.
 */
export async function askForBridge(): Promise<Link> {
  const there = bluetooth();
  let device: BluetoothDevice;
  try {
    device = await there.requestDevice({ filters: [{ services: [SERVICE] }] });
  } catch (error) {
    throw await notChosen(error);
  }
  return connect(device);
}

class TookTooLong extends Error {}

/** A connection to a device that was chosen before. Rejects with Trouble. */
async function connect(device: BluetoothDevice): Promise<Link> {
  if (!device.gatt) throw new Trouble("bluetooth-off");
  for (let left = TRIES; ; left--) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new TookTooLong()), CONNECT_LIMIT);
    });
    const attached = attach(device, device.gatt);
    try {
      return await Promise.race([attached, late]);
    } catch (error) {
      hangUp(device.gatt);
      if (error instanceof TookTooLong)
        attached.then(
          (link) => link.close(),
          () => {},
        );
      if (nameOf(error) === "NotFoundError") throw new Trouble("not-a-bridge");
      if (nameOf(error) === "SecurityError") throw new Trouble("bluetooth-off");
      if (left === 1 || error instanceof TookTooLong) throw new Trouble("out-of-range");
    } finally {
      clearTimeout(timer);
    }
  }
}

function hangUp(gatt: BluetoothRemoteGATTServer): void {
  try {
    gatt.disconnect();
  } catch {
    // It was gone.
  }
}

async function attach(device: BluetoothDevice, gatt: BluetoothRemoteGATTServer): Promise<Link> {
  await gatt.connect();
  const service = await gatt.getPrimaryService(SERVICE);
  // One after the other: on some systems a second operation beside one that is under way fails.
  const inbox = await service.getCharacteristic(INBOX);
  const outbox = await service.getCharacteristic(OUTBOX);
  const info = await service.getCharacteristic(INFO);
  await outbox.startNotifications();
  return new GattLink(device, gatt, inbox, outbox, info);
}

const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();

class GattLink implements Link {
  onFragment: ((fragment: Uint8Array) => void) | null = null;
  onGone: (() => void) | null = null;
  #gone = false;
  #writes: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly device: BluetoothDevice,
    private readonly gatt: BluetoothRemoteGATTServer,
    private readonly inbox: BluetoothRemoteGATTCharacteristic,
    private readonly outbox: BluetoothRemoteGATTCharacteristic,
    private readonly info: BluetoothRemoteGATTCharacteristic,
  ) {
    outbox.addEventListener("characteristicvaluechanged", this.#changed);
    device.addEventListener("gattserverdisconnected", this.#disconnected);
  }

  /** The value is the characteristic's until the next event: it is copied at once. */
  #changed = (): void => {
    const { value } = this.outbox;
    if (value) this.onFragment?.(bytesOf(value));
  };

  #disconnected = (): void => {
    if (this.#gone) return;
    this.#gone = true;
    this.outbox.removeEventListener("characteristicvaluechanged", this.#changed);
    this.device.removeEventListener("gattserverdisconnected", this.#disconnected);
    this.onGone?.();
  };

  async readInfo(): Promise<Uint8Array> {
    try {
      return bytesOf(await this.info.readValue());
    } catch {
      throw new Trouble("out-of-range");
    }
  }

  /** One at a time: a second one beside it would fail. */
  write(fragment: Uint8Array): Promise<void> {
    const written = this.#writes.then(async () => {
      if (this.#gone) throw new Trouble("out-of-range");
      try {
        await this.inbox.writeValueWithResponse(fragment.slice());
      } catch {
        throw new Trouble("out-of-range");
      }
    });
    this.#writes = written.catch(() => {});
    return written;
  }

  /** The device may have another connection by now, which is none of this link's. */
  close(): void {
    if (this.#gone) return;
    hangUp(this.gatt);
    this.#disconnected(); // where the browser says nothing of what it was told to do
  }

  again(): Promise<Link> {
    this.close();
    return connect(this.device);
  }
}
