"""A deterministic, endless MP3 stream: whoever receives a piece of it can tell whether each byte is right.

Each frame has a true MPEG-1 Layer III header (ISO/IEC 11172-3), so bit rate and timing can be read from the stream,
as a player does. The rest of a frame is its number (8 bytes, big-endian) and bytes derived from that number.
"""

import hashlib
from dataclasses import dataclass

SAMPLE_RATE = 44_100  # Hz
SAMPLES_PER_FRAME = 1152
KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # bit rate index 1..14 of MPEG-1 Layer III
HEADER_BYTES = 4
NUMBER_BYTES = 8


@dataclass(frozen=True)
class Format:
    """The timing of a stream of one bit rate (kbit/s)."""

    kbps: int

    def __post_init__(self) -> None:
        if self.kbps not in KBPS:
            raise ValueError(f"{self.kbps} kbit/s is not a bit rate of MPEG-1 Layer III: {KBPS}")

    @property
    def frame_bytes(self) -> int:
        return 144_000 * self.kbps // SAMPLE_RATE

    @property
    def frames_per_s(self) -> float:
        return SAMPLE_RATE / SAMPLES_PER_FRAME

    @property
    def bytes_per_s(self) -> float:
        return self.frame_bytes * self.frames_per_s

    def frame(self, number: int) -> bytes:
        """Frame `number` (0..2^64-1) of the stream."""
        header = bytes((0xFF, 0xFB, (KBPS.index(self.kbps) + 1) << 4, 0x00))
        counter = number.to_bytes(NUMBER_BYTES, "big")
        filler = hashlib.shake_128(counter).digest(self.frame_bytes - HEADER_BYTES - NUMBER_BYTES)
        return header + counter + filler


def parse_header(header: bytes) -> Format:
    """The format that a frame's first 4 bytes tell. Raises ValueError when they are no header of ours."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] != 0xFB or header[3] != 0x00:
        raise ValueError("not an MPEG-1 Layer III frame of 44.1 kHz stereo")
    index = header[2] >> 4
    if not 1 <= index <= len(KBPS) or header[2] & 0x0F:
        raise ValueError("not an MPEG-1 Layer III frame of 44.1 kHz stereo")
    return Format(KBPS[index - 1])


class Verifier:
    """Takes a stream piece by piece, from any frame on, and checks every byte of it."""

    def __init__(self) -> None:
        self.format: Format | None = None
        self.frames = 0  # good frames so far
        self.errors = 0  # frames that were damaged, missing or out of order
        self._next: int | None = None
        self._rest = b""

    def feed(self, data: bytes) -> int:
        """Takes bytes; returns how many whole frames were completed (good or not)."""
        self._rest += data
        taken = 0
        done = 0
        while len(self._rest) - taken >= HEADER_BYTES:
            if self.format is None:
                self.format = parse_header(self._rest[taken : taken + HEADER_BYTES])
            size = self.format.frame_bytes
            if len(self._rest) - taken < size:
                break
            self._check(self._rest[taken : taken + size], self.format)
            taken += size
            done += 1
        self._rest = self._rest[taken:]
        return done

    def _check(self, frame: bytes, form: Format) -> None:
        number = int.from_bytes(frame[HEADER_BYTES : HEADER_BYTES + NUMBER_BYTES], "big")
        if frame != form.frame(number) or (self._next is not None and number != self._next):
            self.errors += 1
        else:
            self.frames += 1
        self._next = number + 1
