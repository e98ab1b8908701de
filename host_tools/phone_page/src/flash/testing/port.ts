/** A serial port whose other end is a function, for tests. */
export class Port extends EventTarget {
  readable: ReadableStream<Uint8Array> | null = null;
  writable: WritableStream<Uint8Array> | null = null;
  opened = 0;
  /** What was done with RTS: a restart is true, then false. */
  resets: boolean[] = [];
  private source: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(
    readonly vendor: number,
    private readonly typed: (text: string, port: Port) => void,
  ) {
    super();
  }

  getInfo() {
    return { usbVendorId: this.vendor };
  }

  async open() {
    this.opened++;
    this.readable = new ReadableStream({ start: (source) => void (this.source = source) });
    this.writable = new WritableStream({ write: (bytes) => this.typed(new TextDecoder().decode(bytes), this) });
  }

  async setSignals({ requestToSend }: SerialOutputSignals) {
    if (!this.source) throw new DOMException("Failed to set control signals.", "NetworkError");
    this.resets.push(requestToSend === true);
  }

  async close() {
    this.readable = this.writable = this.source = null;
  }

  say(text: string) {
    this.source?.enqueue(new TextEncoder().encode(text));
  }

  /** The cable is pulled. */
  lose() {
    const source = this.source;
    this.readable = this.writable = this.source = null;
    source?.error(new Error("The device has been lost."));
  }
}

export const asPort = (port: Port) => port as unknown as SerialPort;
