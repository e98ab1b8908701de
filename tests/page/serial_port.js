// navigator.serial of a computer with boards that the test plugs in: https://wicg.github.io/serial/, as far as a page sees it.
// The cable is the test's: `serialCable(name, number, value)`.
(() => {
  const lostError = () => new DOMException("The device has been lost.", "NetworkError");
  const closedError = () => new DOMException("The port is closed.", "InvalidStateError");
  const encode = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const decode = (text) => Uint8Array.from(atob(text), (symbol) => symbol.charCodeAt(0));

  class SerialPort extends EventTarget {
    connected = true;
    #number;
    #info;
    #open = false;
    #source = null;
    #sink = null;
    #readable = null;
    #writable = null;

    constructor(number, info) {
      super();
      this.#number = number;
      this.#info = info;
    }

    getInfo() {
      return { ...this.#info };
    }

    async open({ baudRate }) {
      if (this.#open) throw new DOMException("The port is already open.", "InvalidStateError");
      if (!this.connected || !(await serialCable("open", this.#number, baudRate))) {
        throw new DOMException("Failed to open serial port.", "NetworkError");
      }
      this.#open = true;
    }

    get readable() {
      if (!this.#open || !this.connected) return null;
      this.#readable ??= new ReadableStream({
        start: (controller) => {
          this.#source = controller;
        },
        cancel: () => {
          this.#readable = this.#source = null;
        },
      });
      return this.#readable;
    }

    get writable() {
      if (!this.#open || !this.connected) return null;
      const gone = () => {
        this.#writable = this.#sink = null;
      };
      this.#writable ??= new WritableStream({
        start: (controller) => {
          this.#sink = controller;
        },
        write: async (chunk) => {
          await serialCable("write", this.#number, encode(chunk));
        },
        close: gone,
        abort: gone,
      });
      return this.#writable;
    }

    async setSignals({ dataTerminalReady, requestToSend }) {
      if (!this.#open) throw closedError();
      if (!this.connected) throw new DOMException("Failed to set control signals.", "NetworkError");
      await serialCable("signals", this.#number, { dtr: dataTerminalReady, rts: requestToSend });
    }

    async close() {
      if (!this.#open) throw closedError();
      await this.#readable?.cancel();
      await this.#writable?.abort();
      this.#open = false;
      this.#readable = this.#writable = null;
      if (this.connected) await serialCable("close", this.#number, null);
    }

    hear(data) {
      if (this.#open) void this.readable; // what nobody reads yet is kept
      this.#source?.enqueue(decode(data));
    }

    lose() {
      this.connected = false;
      this.#source?.error(lostError());
      this.#sink?.error(lostError());
      this.#readable = this.#writable = this.#source = this.#sink = null;
      announce("disconnect", this);
    }
  }

  class Serial extends EventTarget {
    async requestPort({ filters = [] } = {}) {
      if (!navigator.userActivation.isActive) throw new DOMException("Must be handling a user gesture.", "SecurityError");
      const fits = (port) => !filters.length || filters.some((one) => one.usbVendorId === port.getInfo().usbVendorId);
      const found = serialPorts.find((port) => port.connected && fits(port));
      if (!found || (await serialCable("unwilling", 0, null))) {
        throw new DOMException("No port selected by the user.", "NotFoundError");
      }
      return found;
    }

    async getPorts() {
      return serialPorts.filter((port) => port.connected);
    }
  }

  const serial = new Serial();
  function announce(type, port) {
    port.dispatchEvent(new Event(type, { bubbles: true }));
    // It goes on to navigator.serial, which is the port's parent there.
    const further = new Event(type, { bubbles: true });
    Object.defineProperty(further, "target", { value: port });
    serial.dispatchEvent(further);
  }

  globalThis.serialPorts = [];
  globalThis.plugIn = (info) => {
    serialPorts.push(new SerialPort(serialPorts.length, info));
    announce("connect", serialPorts.at(-1));
  };
  Object.defineProperty(Navigator.prototype, "serial", { get: () => serial, configurable: true });
})();
