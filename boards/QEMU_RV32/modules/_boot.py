# The board's file systems: /flash, where we are, an empty littlefs on RAM; and /rom, what QEMU was told to load,
# read-only. Its modules, in /rom/lib, come before the frozen ones.
import os
import sys

import _board
import vfs

_BLOCK = 4096


class _Flash:
    def __init__(self):
        self._data = _board.flash()

    def readblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        buf[:] = self._data[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        self._data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return len(self._data) // _BLOCK
        return _BLOCK if op == 5 else 0


_flash = _Flash()
vfs.VfsLfs2.mkfs(_flash)
vfs.mount(vfs.VfsLfs2(_flash), "/flash")
try:
    vfs.mount(vfs.VfsRom(_board.rom()), "/rom")
    sys.path.insert(0, "/rom/lib")
except OSError:
    pass  # nothing was loaded
os.chdir("/flash")
