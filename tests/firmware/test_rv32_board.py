# What makes the board QEMU_RV32 worth its time: it is as narrow as a chip, and has no more than it should.
import gc
import os
import struct
import sys

from check import equal, raises


def test_it_is_a_32_bit_machine():
    equal(sys.maxsize, 2**31 - 1)
    equal(struct.calcsize("P"), 4)
    assert "rv32imc" in sys.implementation._machine, sys.implementation


def test_the_firmware_is_frozen_bytecode():
    from speakeasy import crypto

    equal(crypto.__file__, "speakeasy/crypto.py")
    assert __file__.startswith("/rom/"), __file__


def test_the_heap_is_a_chips():
    assert 100_000 < gc.mem_alloc() + gc.mem_free() <= 131_072


def test_the_flash_is_littlefs_and_empty():
    equal((os.getcwd(), os.listdir()), ("/flash", []))
    with open("one", "w") as f:
        f.write("1")
    os.rename("one", "two")
    equal(os.listdir(), ["two"])
    with raises(OSError):
        os.remove("two.new")


def test_what_is_left_out_is_not_there():
    # interpreters.py leaves out tests that open sockets. Should the board have them one day, they are to run: then
    # no_radio/socket.py, which is empty, has to go.
    with raises(AttributeError):
        __import__("socket").socket()
