"""Small files on the flash that are whole or absent, whatever happens to the power.

A file is JSON of this form, so that a person can read it and a damaged one is noticed:

    {"check":"<first 16 bytes of SHA-256 of DATA, hex>","data":DATA}

Writing: the new file beside the old one, flushed to the flash, then renamed over it; littlefs and POSIX rename
atomically. (FAT does not: keep the flash's file system littlefs.)
"""

import json
import os

from . import crypto

_HEAD = b'{"check":"'
_MIDDLE = b'","data":'
_TAIL = b"}"
_CHECK_CHARS = 32

MAX_BYTES = 12288


class Damaged(Exception):
    """The file is there but is not what was written."""


class Files:
    """The flash's directory, the current one or `root`. The methods with an underscore are all that change it."""

    def __init__(self, root: str = "") -> None:
        self.root = root

    def _open(self, name: str, mode: str):
        return open(self.root + name, mode)

    def _rename(self, old: str, new: str) -> None:
        os.rename(self.root + old, self.root + new)

    def _remove(self, name: str) -> None:
        os.remove(self.root + name)

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes | None:
        """The file's bytes, None if there is none; Damaged above `limit` bytes."""
        try:
            f = self._open(name, "rb")
        except OSError:
            return None
        with f:
            # No more room than the file needs: one piece of `limit` bytes is more than a heap in use may have.
            size = f.seek(0, 2)
            if size > limit:
                raise Damaged("longer than %d bytes" % limit)
            f.seek(0)
            return f.read(size)

    def load(self, name: str):
        """The object saved under `name`, None if there is none; Damaged if it is not whole."""
        raw = self.read(name)
        if raw is None:
            return None
        start = len(_HEAD) + _CHECK_CHARS + len(_MIDDLE)
        # Views: a heap in use has no room for a copy.
        body = memoryview(raw)[start : -len(_TAIL)]
        if raw[:start] != _head(body) or raw[-len(_TAIL) :] != _TAIL:
            raise Damaged("its check does not match")
        try:
            return json.loads(body)  # type: ignore[type-var]  # MicroPython takes any buffer
        except ValueError:
            raise Damaged("not JSON") from None

    def save(self, name: str, value) -> None:
        """Replace the file `name`; after a power cut at any moment the old or the new one is there, whole."""
        body = json.dumps(value).encode()
        raw = b"".join((_head(body), body, _TAIL))
        if len(raw) > MAX_BYTES:
            raise ValueError("%s would be longer than %d bytes" % (name, MAX_BYTES))
        temporary = name + ".new"
        with self._open(temporary, "wb") as f:
            f.write(raw)
            f.flush()  # fsync on POSIX, lfs_file_sync on littlefs: the content is safe before the name moves
        self._rename(temporary, name)

    def set_aside(self, name: str, aside: str) -> None:
        """Rename a file that cannot be used, replacing an earlier one set aside."""
        self._rename(name, aside)

    def names(self) -> list:
        """The names of all files that are there."""
        return os.listdir(self.root or ".")

    def erase(self, name: str) -> None:
        """Remove the file; OSError if it stays."""
        self._remove(name)

    def remove(self, name: str) -> None:
        """Remove the file if it is there."""
        try:
            self._remove(name)
        except OSError:
            pass


def _head(body: bytes | memoryview) -> bytes:
    # What comes before the data.
    return _HEAD + crypto.digest(body)[: _CHECK_CHARS // 2].hex().encode() + _MIDDLE
