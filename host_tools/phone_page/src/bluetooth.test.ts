import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { askForBridge, bluetoothTrouble, CONNECT_LIMIT, INBOX, INFO, OUTBOX, SERVICE, TRIES } from "./bluetooth.ts";

const trouble = (kind: string) => expect.objectContaining({ name: "Trouble", kind });
const dom = (name: string, message = "") => new DOMException(message, name);

/** A device as a browser shows it: what Chrome does is read from its sources; tests/page has Chromium itself. */
class Characteristic extends EventTarget {
  value: DataView | undefined;
  written: number[][] = [];
  under = 0;
  fail: unknown = null;
  notifying = false;
  listeners = 0;
  startNotifications = vi.fn(async () => {
    await Promise.resolve();
    if (this.fail) throw this.fail;
    this.notifying = true;
    return this;
  });
  override addEventListener(...given: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners++;
    super.addEventListener(...given);
  }
  override removeEventListener(...given: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners--;
    super.removeEventListener(...given);
  }
  async readValue() {
    await Promise.resolve();
    if (this.fail) throw this.fail;
    return this.value!;
  }
  async writeValueWithResponse(value: Uint8Array) {
    expect(++this.under).toBe(1);
    await Promise.resolve();
    this.under--;
    if (this.fail) throw this.fail;
    this.written.push([...value]);
  }
  notify(...bytes: number[]) {
    // In the middle of a larger buffer, which is the browser's.
    const buffer = Uint8Array.of(0xff, ...bytes, 0xff).buffer;
    this.value = new DataView(buffer, 1, bytes.length);
    this.dispatchEvent(new Event("characteristicvaluechanged"));
    new Uint8Array(buffer).fill(0xee);
  }
}

class Device extends EventTarget {
  inbox = new Characteristic();
  outbox = new Characteristic();
  info = new Characteristic();
  connected = false;
  connects = 0;
  failures: unknown[] = [];
  gatt = {
    connect: async () => {
      this.connects++;
      await Promise.resolve();
      const failure = this.failures.shift();
      if (failure === "late") await new Promise<void>((resolve) => (this.come = resolve));
      else if (failure) throw failure;
      this.connected = true;
    },
    getPrimaryService: async (uuid: string) => {
      expect(uuid).toBe(SERVICE);
      await Promise.resolve();
      if (this.noService) throw this.noService;
      return { getCharacteristic: (what: string) => Promise.resolve(this.of(what)) };
    },
    disconnect: vi.fn(() => this.drop()),
  };
  noService: unknown = null;
  come = () => {};
  of(uuid: string) {
    return { [INBOX]: this.inbox, [OUTBOX]: this.outbox, [INFO]: this.info }[uuid];
  }
  drop() {
    if (!this.connected) return;
    this.connected = false;
    this.dispatchEvent(new Event("gattserverdisconnected"));
  }
}

let device: Device;
let refusal: unknown;
let available: boolean;
const requestDevice = vi.fn(() => (refusal ? Promise.reject(refusal as Error) : Promise.resolve(device)));

beforeEach(() => {
  [device, refusal, available] = [new Device(), null, true];
  vi.stubGlobal("navigator", { bluetooth: { requestDevice, getAvailability: () => Promise.resolve(available) } });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("the person is shown bridges alone, and the one that is chosen is subscribed to", async () => {
  await askForBridge();
  expect(requestDevice).toHaveBeenLastCalledWith({ filters: [{ services: [SERVICE] }] });
  expect([device.connected, device.outbox.notifying]).toEqual([true, true]);
});

test.each([
  [dom("NotFoundError", "User cancelled the requestDevice() chooser."), true, "nobody-chosen"],
  [dom("NotFoundError", "User selected a device that doesn't exist anymore."), true, "nobody-chosen"],
  [dom("NotFoundError", "User cancelled the requestDevice() chooser."), false, "bluetooth-off"],
  [dom("NotFoundError", "Bluetooth adapter not available."), true, "bluetooth-off"],
  [dom("NotFoundError", "User denied the browser permission to scan for Bluetooth devices."), true, "bluetooth-off"],
  [dom("NotFoundError", "Web Bluetooth API globally disabled."), true, "bluetooth-off"],
  [dom("NotFoundError", "User or their enterprise policy has disabled Web Bluetooth."), true, "bluetooth-off"],
  [dom("NotFoundError", "Bluetooth Low Energy not available."), true, "bluetooth-off"],
  [dom("SecurityError", "Must be handling a user gesture to show a permission request."), true, "bluetooth-off"],
  [dom("NotAllowedError"), true, "bluetooth-off"],
  ["cancelled", true, "nobody-chosen"],
])("the list ends with %s (available: %s): %s", async (error, isAvailable, kind) => {
  [refusal, available] = [error, isAvailable];
  await expect(askForBridge()).rejects.toEqual(trouble(kind));
  expect(device.connects).toBe(0);
});

test("what is known before anybody has tried", async () => {
  expect(await bluetoothTrouble()).toBeNull();
  available = false;
  expect(await bluetoothTrouble()).toEqual(trouble("bluetooth-off"));
  vi.stubGlobal("navigator", { bluetooth: { requestDevice } });
  expect(await bluetoothTrouble()).toBeNull();
  vi.stubGlobal("navigator", { bluetooth: { getAvailability: () => Promise.reject(dom("SecurityError")) } });
  expect(await bluetoothTrouble()).toBeNull();
  vi.stubGlobal("navigator", {});
  expect(await bluetoothTrouble()).toEqual(trouble("no-bluetooth"));
  await expect(askForBridge()).rejects.toEqual(trouble("no-bluetooth"));
});

test("connecting is tried again, so often", async () => {
  device.failures = Array.from({ length: TRIES - 1 }, () => dom("NetworkError"));
  await askForBridge();
  expect(device.connects).toBe(TRIES);
  device.failures = Array.from({ length: TRIES }, () => dom("NetworkError"));
  await expect(askForBridge()).rejects.toEqual(trouble("out-of-range"));
  expect(device.connects).toBe(2 * TRIES);
});

test("a connection that never comes about is given up", async () => {
  vi.useFakeTimers();
  device.failures = ["late"];
  const asked = expect(askForBridge()).rejects.toEqual(trouble("out-of-range"));
  await vi.advanceTimersByTimeAsync(CONNECT_LIMIT - 1);
  expect(device.gatt.disconnect).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await asked;
  expect(device.gatt.disconnect).toHaveBeenCalled();
  expect(device.connects).toBe(1);
  device.come(); // nobody wants it any more
  await vi.waitFor(() => expect([device.outbox.notifying, device.connected]).toEqual([true, false]));
});

test("a device without the service is no bridge", async () => {
  device.noService = dom("NotFoundError", "No Services matching UUID found in Device.");
  await expect(askForBridge()).rejects.toEqual(trouble("not-a-bridge"));
  expect([device.connects, device.connected]).toEqual([1, false]);
});

test("a subscription that fails is tried anew with a new connection, and leaves no listener behind", async () => {
  device.outbox.startNotifications.mockRejectedValueOnce(dom("NotSupportedError", "GATT Error Unknown."));
  const link = await askForBridge();
  expect([device.connects, device.outbox.listeners]).toEqual([2, 1]);
  link.close();
  expect(device.outbox.listeners).toBe(0);
});

test("notifications come in order, copied at once, and none after the end", async () => {
  const link = await askForBridge();
  const seen: number[][] = [];
  link.onFragment = (fragment) => seen.push([...fragment]);
  const kept: Uint8Array[] = [];
  device.outbox.notify(1, 2);
  link.onFragment = (fragment) => {
    kept.push(fragment);
  };
  device.outbox.notify(3);
  device.outbox.notify(4, 5, 6);
  device.drop();
  device.outbox.notify(7);
  expect(seen).toEqual([[1, 2]]);
  expect(kept.map((one) => [...one])).toEqual([[3], [4, 5, 6]]);
});

test("writes wait for each other, and a failed one does not stop those behind it", async () => {
  const link = await askForBridge();
  await Promise.all([1, 2, 3].map((byte) => link.write(Uint8Array.of(0xc0, byte))));
  expect(device.inbox.written).toEqual([
    [0xc0, 1],
    [0xc0, 2],
    [0xc0, 3],
  ]);
  device.inbox.fail = dom("NetworkError");
  await expect(link.write(Uint8Array.of(0xc0, 4))).rejects.toEqual(trouble("out-of-range"));
  device.inbox.fail = null;
  await link.write(Uint8Array.of(0xc0, 5));
  expect(device.inbox.written.at(-1)).toEqual([0xc0, 5]);
});

test("info", async () => {
  const link = await askForBridge();
  device.info.value = new DataView(Uint8Array.of(9, 1, 2, 9).buffer, 1, 2);
  expect([...(await link.readInfo())]).toEqual([1, 2]);
  device.info.fail = dom("NotSupportedError");
  await expect(link.readInfo()).rejects.toEqual(trouble("out-of-range"));
});

test("the end is told once, whoever ended it", async () => {
  const link = await askForBridge();
  link.onGone = vi.fn();
  device.drop();
  device.drop();
  link.close();
  expect(link.onGone).toHaveBeenCalledOnce();
  await expect(link.write(Uint8Array.of(0xc0, 1))).rejects.toEqual(trouble("out-of-range"));
  const other = await askForBridge();
  other.onGone = vi.fn();
  other.close();
  expect(other.onGone).toHaveBeenCalledOnce();
  expect(device.connected).toBe(false);
});

test("a browser that does not tell of what it was told to do", async () => {
  const link = await askForBridge();
  link.onGone = vi.fn();
  device.gatt.disconnect.mockImplementationOnce(() => {});
  link.close();
  expect(link.onGone).toHaveBeenCalledOnce();
});

test("a link that is over leaves the next one alone", async () => {
  const link = await askForBridge();
  const next = await link.again();
  next.onGone = vi.fn();
  link.close();
  expect([device.connected, vi.mocked(next.onGone).mock.calls.length]).toEqual([true, 0]);
});

test("another connection to the same bridge needs no list", async () => {
  const link = await askForBridge();
  requestDevice.mockClear();
  const next = await link.again();
  expect([requestDevice.mock.calls.length, device.connects]).toEqual([0, 2]);
  const seen: number[] = [];
  link.onFragment = () => expect.unreachable();
  next.onFragment = (fragment) => seen.push(...fragment);
  device.outbox.notify(8);
  expect(seen).toEqual([8]);
});
