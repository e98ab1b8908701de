"""Each ESP32 board's files, by MicroPython's own tools and by arithmetic."""

import ast
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BOARDS, ENVIRONMENT, LIBRARY, MICROPYTHON, NAMES, PORT, TOP, Build

FIRMWARE = TOP / "firmware"
MPY_CROSS = TOP / "build/mpy-cross/mpy-cross"
QSTRS = TOP / "build/sim/genhdr/qstrdefs.preprocessed.h"
# Debian's source package of MicroPython comes without micropython-lib: there all but aioble is frozen.
HAS_AIOBLE = (LIBRARY / "micropython/bluetooth/aioble").is_dir()
# As esp32_common.cmake has it, by the chip's architecture.
MARCH = {"esp32": "xtensawin", "esp32s3": "xtensawin", "esp32c3": "rv32imc", "esp32c6": "rv32imc"}
# Pins that a board's maker or user cannot have: those of the flash, of octal PSRAM, of the USB socket, of the console.
TAKEN = {
    "esp32": {1, 3, 6, 7, 8, 9, 10, 11, 20, 24, 28, 29, 30, 31},
    "esp32s3": {19, 20, *range(22, 38)},
    "esp32c3": {*range(11, 20)},
    "esp32c6": {12, 13, *range(24, 31)},
}
PINS = {"esp32": 40, "esp32s3": 49, "esp32c3": 22, "esp32c6": 31}
INPUT_ONLY = {"esp32": range(34, 40)}
# What no board may lack, whatever its other options are.
ALWAYS = {
    "BOOTLOADER_APP_ROLLBACK_ENABLE": "y",  # health.py says when an image is good
    "ESP_INT_WDT": "y",
    "ESP_TASK_WDT_EN": "y",
    "BOOTLOADER_WDT_ENABLE": "y",
    "ESP_SYSTEM_PANIC_PRINT_REBOOT": "y",
    "PARTITION_TABLE_CUSTOM": "y",
    "LWIP_IPV6": "n",  # the filter lets none through
    "ESP_WIFI_NVS_ENABLED": "n",  # keys are in the settings alone, which a factory reset erases
    "BT_NIMBLE_NVS_PERSIST": "n",
    "ESP_WIFI_ENTERPRISE_SUPPORT": "y",
    "ESP_WIFI_SOFTAP_SAE_SUPPORT": "y",
    "BT_ENABLED": "y",
    "BT_NIMBLE_ENABLED": "y",
}
SMALL = ("esp32c3", "esp32c6")  # Wi-Fi, Bluetooth and MicroPython in 400 KB


def constant(module: str, name: str) -> int:
    """A number that a module of the firmware has at its top."""
    for node in ast.parse((FIRMWARE / f"speakeasy/{module}.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            value = node.value.args[0] if isinstance(node.value, ast.Call) else node.value
            return int(ast.literal_eval(value))
    raise AssertionError(f"{module}.py has no {name}")


def ethernet(directory: Path) -> dict[str, int | str]:
    """The arguments of network.LAN(): numbers, and names of `network`'s constants. None: empty."""
    (node,) = (n for n in ast.parse((directory / "board.py").read_text()).body if isinstance(n, ast.Assign))
    assert ast.unparse(node.targets[0]) == "ETHERNET"
    if isinstance(node.value, ast.Constant):
        assert node.value.value is None
        return {}
    assert isinstance(node.value, ast.Dict)
    found: dict[str, int | str] = {}
    for key, value in zip(node.value.keys, node.value.values, strict=True):
        assert key is not None
        found[ast.literal_eval(key)] = value.attr if isinstance(value, ast.Attribute) else ast.literal_eval(value)
    return found


# ---- ESP-IDF's options ----


def test_the_boards_files_are_all_read(build: Build) -> None:
    """MicroPython's build has found the chip, the manifest, the filter, and the options of the board's own folder."""
    assert build.chip in MARCH
    assert build.manifest.is_file() and build.manifest.parent == build.directory
    assert Path(build.modules) == FIRMWARE / "micropython.cmake"
    assert build.options["PARTITION_TABLE_CUSTOM_FILENAME"] == f'"{build.directory / "partitions.csv"}"'


def test_no_board_lacks_what_all_need(build: Build) -> None:
    assert {name: build.options.get(name) for name in ALWAYS} == ALWAYS
    assert "WEBREPL" not in build.sdkconfig + headers(build.directory)


def test_every_file_of_options_is_read(build: Build) -> None:
    """The common ones, the board's own, its variant's, and those that MicroPython has for every board of that chip."""
    wanted = [BOARDS / "esp32_common/sdkconfig.speakeasy", build.directory / "sdkconfig.board"]
    wanted += [BOARDS / "esp32_common/sdkconfig.small"] if build.chip in SMALL else []
    wanted += [build.directory / f"sdkconfig.{build.variant.lower()}"] if build.variant else []
    wanted += [PORT / "boards/sdkconfig.base", PORT / "boards/sdkconfig.ble"]
    generic = PORT / f"boards/ESP32_GENERIC_{build.chip.removeprefix('esp32').upper()}/mpconfigboard.cmake"
    own = f"boards/sdkconfig.{build.chip.removeprefix('esp32')}"
    wanted += [PORT / own] if generic.is_file() and own in generic.read_text() else []
    assert not [path for path in wanted if path.read_text() not in build.sdkconfig]


def test_what_the_chip_has_or_lacks(build: Build) -> None:
    """PSRAM is an ESP32-S3's, which starts without it, too; where there is none the filter's tables are smaller."""
    assert (build.options.get("SPIRAM") == "y") == (build.chip == "esp32s3")
    if build.chip == "esp32s3":
        assert build.options["SPIRAM_IGNORE_NOTFOUND"] == "y"
        assert build.options.get("BT_NIMBLE_MEM_ALLOC_MODE_EXTERNAL", "n") == "n"
    else:
        assert int(build.defines["PF_FLOWS"]) <= 256


def test_one_choice_of_each_kind(build: Build) -> None:
    """Of options that exclude each other one is on: which one wins must not hang on ESP-IDF's order."""
    for kind in (r"COMPILER_OPTIMIZATION_(SIZE|PERF|DEBUG|NONE)", r"LOG_MAXIMUM_LEVEL_\w+", r"SPIRAM_MODE_\w+"):
        on = [name for name, value in build.options.items() if value == "y" and re.fullmatch(kind, name)]
        assert len(on) <= 1, on


def test_there_are_sockets_enough(build: Build) -> None:
    """At its busiest: each server's own socket, its connections, the other half of those that are passed on."""
    claims = (
        1
        + constant("claim_server", "MAX_CONNECTIONS")
        + constant("claim_server", "_MAX_REFUSED")
        + constant("claim_server", "MAX_DELAYED")
    )
    guard = 1 + 2 * constant("http_guard", "MAX_CONNECTIONS")
    events = 1 + 2 * constant("gena", "MAX_EVENTS")
    discovery = 1
    assert claims + guard + events + discovery <= int(build.options["LWIP_MAX_SOCKETS"])
    assert claims + guard + events <= int(build.options["LWIP_MAX_ACTIVE_TCP"])
    simulated = re.search(r"^_MAX_SOCKETS = (\d+)$", (BOARDS / "SIM/kernel/socket.py").read_text(), re.MULTILINE)
    on_lwip = re.search(r"^#define MEMP_NUM_NETCONN (\d+)$", (BOARDS / "SIM_LWIP/lwipopts.h").read_text(), re.MULTILINE)
    assert simulated and on_lwip and simulated[1] == on_lwip[1] == build.options["LWIP_MAX_SOCKETS"]
    # lwIP's numbers for sockets are the upper ones below FD_SETSIZE; ESP-IDF's own files have the others.
    assert int(build.options["LWIP_MAX_SOCKETS"]) <= 64 - 16


def test_groups_are_joined_by_the_glue_alone() -> None:
    """MicroPython's socket option calls lwIP's igmp_joingroup() in its own thread, without lwIP's lock."""
    assert "igmp_joingroup(" in (PORT / "modsocket.c").read_text()
    assert not [path for path in sorted(FIRMWARE.rglob("*.py")) if "MEMBERSHIP" in path.read_text()]


def test_wifi_buffers_fit_each_other(build: Build) -> None:
    """ESP-IDF's help to ESP_WIFI_RX_BA_WIN: no more than twice the static buffers, or the dynamic ones."""
    window = int(build.options["ESP_WIFI_RX_BA_WIN"])
    assert window <= 2 * int(build.options["ESP_WIFI_STATIC_RX_BUFFER_NUM"])
    assert window <= int(build.options["ESP_WIFI_DYNAMIC_RX_BUFFER_NUM"])


# ---- The flash ----


def partitions(build: Build) -> dict[str, tuple[str, str, int, int]]:
    """name: (type, subtype, offset, size)"""
    lines = [line for line in (build.directory / "partitions.csv").read_text().splitlines() if not line.startswith("#")]
    rows = [[field.strip() for field in row] for row in csv.reader(lines)]
    assert all(len(row) == 5 for row in rows)
    table = {name: (kind, subtype, int(offset, 0), int(size, 0)) for name, kind, subtype, offset, size in rows}
    assert len(table) == len(rows)
    return table


def test_partitions_add_up(build: Build) -> None:
    """No gap, no overlap, the end of the flash is the end of the last one. The table itself is at 0x8000."""
    end = 0x9000
    for name, (kind, _, offset, size) in partitions(build).items():
        assert len(name) <= 15  # gen_esp32part.py: 16 bytes with the zero
        assert offset == end, name
        assert offset % 0x1000 == 0 and size % 0x1000 == 0
        if kind == "app":
            assert offset % 0x10000 == 0  # what the chip's cache can map
        end = offset + size
    (flash,) = (
        name
        for name, value in build.options.items()
        if re.fullmatch(r"ESPTOOLPY_FLASHSIZE_\d+MB", name) and value == "y" and not other_size(build, name)
    )
    assert end == int(re.sub(r"\D", "", flash)) * 1024 * 1024


def other_size(build: Build, name: str) -> bool:
    """MicroPython's sdkconfig.base says 4 MB before the board has its word."""
    own = (build.directory / "sdkconfig.board").read_text()
    return f"CONFIG_{name}=y" not in own


def test_partitions_are_what_is_needed(build: Build) -> None:
    """Two images of one size, the bootloader's notes on them; MicroPython's files; what the radio keeps."""
    table = partitions(build)
    assert {name: row[:2] for name, row in table.items()} == {
        "nvs": ("data", "nvs"),
        "otadata": ("data", "ota"),
        "phy_init": ("data", "phy"),
        "ota_0": ("app", "ota_0"),
        "ota_1": ("app", "ota_1"),
        "vfs": ("data", "fat"),
    }
    assert table["ota_0"][3] == table["ota_1"][3]
    assert table["otadata"][3] == 0x2000
    assert table["nvs"][3] >= 0x3000  # three pages at least: nvs_flash keeps one free


def test_the_files_have_room(build: Build) -> None:
    """Every file as long as files.py lets it be; the settings set aside, one being written, aioble's keys; littlefs's
    own blocks, two for its directory and two for itself."""
    names = set()
    for path in (FIRMWARE / "speakeasy").glob("*.py"):
        names |= set(re.findall(r'^(?:FILE|PROVISION) = "(\w+\.json)"', path.read_text(), re.MULTILINE))
    assert "settings.json" in names and "identity.json" in names
    block = 4096
    blocks = (len(names) + 3) * -(-constant("files", "MAX_BYTES") // block) + 4
    assert blocks * block <= partitions(build)["vfs"][3]


# ---- Pins ----


def pins(build: Build) -> dict[str, int]:
    rows = list(csv.reader((build.directory / "pins.csv").read_text().splitlines()))
    return {name: int(pin.removeprefix("GPIO")) for name, pin in rows}


def test_pins(build: Build, tmp_path: Path) -> None:
    """MicroPython's make-pins.py takes the table, and gives the firmware its two names."""
    source, header = tmp_path / "pins.c", tmp_path / "pins.h"
    command = [
        sys.executable,
        PORT / "boards/make-pins.py",
        "--board-csv",
        build.directory / "pins.csv",
        "--prefix",
        PORT / "boards/pins_prefix.c",
    ]
    command += ["--output-source", source, "--output-header", header]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    board_pins = source.read_text().split("machine_pin_board_pins_locals_dict_table[] = {")[1].split("};")[0]
    assert set(re.findall(r"MP_QSTR_(\w+)", board_pins)) == {"LED", "BUTTON"}


def test_pins_exist_and_are_free(build: Build) -> None:
    used = list(pins(build).values()) + [
        number for name, number in ethernet(build.directory / "modules").items() if name in ("mdc", "mdio", "power")
    ]  # fmt: skip
    if build.options.get("ETH_RMII_CLK_OUTPUT") == "y":
        used.append(int(build.options["ETH_RMII_CLK_OUT_GPIO"]))
        used += [19, 21, 22, 25, 26, 27]  # the ESP32's RMII, which nobody can move
    assert len(used) == len(set(used)), used
    for number in used:
        assert 0 <= int(number) < PINS[build.chip] and number not in TAKEN[build.chip]
    assert pins(build)["LED"] not in INPUT_ONLY.get(build.chip, ())


@pytest.mark.parametrize(
    "directory",
    sorted(path for name in NAMES for path in BOARDS.glob(f"{name}/*/board.py")),
    ids=lambda path: str(path.parent.relative_to(BOARDS)),
)
def test_ethernet_is_what_micropython_takes(directory: Path) -> None:
    """Names of arguments and of PHYs are those of MicroPython's network_lan.c."""
    arguments = ethernet(directory.parent)
    source = (PORT / "network_lan.c").read_text()
    known = set(re.findall(r"\{ MP_QSTR_(\w+), ", source))
    assert {"mdc", "mdio", "phy_addr", "phy_type"} <= known
    assert set(arguments) <= known
    if arguments:
        assert {"phy_addr", "phy_type"} <= set(arguments)
        if "qemu" not in directory.parts:  # its PHY is in MicroPython later than 1.28
            assert f"case {arguments['phy_type']}:" in source


def test_boards_with_ethernet_have_its_driver(build: Build) -> None:
    """MicroPython's, and ESP-IDF's; the page has the pins. The chip gives the clock on one of two (Kconfig)."""
    arguments = ethernet(build.directory / ("qemu" if "qemu" in build.manifest.name else "modules"))
    if arguments.get("phy_type") == "PHY_OPENETH":
        assert build.options["ETH_USE_OPENETH"] == "y"
    elif arguments:
        assert build.options["ETH_PHY_INTERFACE_RMII"] == "y"
        clock = int(build.options["ETH_RMII_CLK_OUT_GPIO"])
        assert build.options["ETH_RMII_CLK_OUTPUT"] == "y" and clock in (16, 17)
        words = f"MDC GPIO{arguments['mdc']}, MDIO GPIO{arguments['mdio']}, power GPIO{arguments['power']}, "
        words += f"clock out GPIO{clock}, PHY address {arguments['phy_addr']} |"
        assert words in (build.directory / "README.md").read_text()
    has = bool(ethernet(build.directory / ("qemu" if "qemu" in build.manifest.name else "modules")))
    off = "#define MICROPY_PY_NETWORK_LAN (0)" in (build.directory / "mpconfigboard.h").read_text()
    assert has == (build.defines.get("MICROPY_PY_NETWORK_LAN") == "1" or not off)


# ---- MicroPython's options ----


def headers(directory: Path) -> str:
    return (directory / "mpconfigboard.h").read_text() + (BOARDS / "esp32_common/mpconfig_speakeasy.h").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_micropythons_options_are_the_boards_to_set(name: str) -> None:
    """Each is one that MicroPython's files leave to the board (#ifndef), or that a board has to give it."""
    given = re.findall(r"^ *#define (\w+)", headers(BOARDS / name), re.MULTILINE)
    assert len(given) == len(set(given))
    text = "".join(
        path.read_text()
        for folder in ("py", "extmod", "ports/esp32")
        for path in sorted((MICROPYTHON / folder).glob("*.[ch]"))
    )
    left = set(re.findall(r"^ *#ifndef (MICROPY_\w+)", text, re.MULTILINE))
    asked = set(re.findall(r"\b(MICROPY_HW_(?:BOARD_NAME|MCU_NAME|ENABLE_UART_REPL))\b", text))
    assert set(given) <= left | asked
    assert {"MICROPY_HW_BOARD_NAME", "MICROPY_HW_MCU_NAME"} <= set(given)
    assert '\n#include "../esp32_common/mpconfig_speakeasy.h"\n' in (BOARDS / name / "mpconfigboard.h").read_text()
    # pairing.py's cipher
    assert re.search(r"^#define MICROPY_PY_CRYPTOLIB_CTR \(1\)$", headers(BOARDS / name), re.MULTILINE)


def test_no_secret_is_drawn_where_numbers_may_only_look_random() -> None:
    """os.urandom() of a chip whose radios are off; the module `random`."""
    for path in (TOP / "firmware/speakeasy").glob("*.py"):
        assert not re.search(r"urandom|^(import|from) random", path.read_text(), re.MULTILINE), path.name


def test_the_heap_is_as_large_as_was_tried() -> None:
    """Where MicroPython's heap would grow at Wi-Fi's expense, it is large enough from the start."""
    (tried,) = re.findall(r"^HEAP_KIB = (\d+)$", (TOP / "tests/firmware/test_rv32_memory.py").read_text(), re.MULTILINE)
    for name in ("ESP32", "ESP32_C3", "ESP32_C6", "OLIMEX_ESP32_POE"):
        (kib,) = re.findall(r"MICROPY_GC_INITIAL_HEAP_SIZE \((\d+) \* 1024\)", headers(BOARDS / name))
        assert int(kib) >= int(tried)


def test_the_filters_limits_are_its_own(build: Build) -> None:
    """A board's PF_... are limits of pf.h that may be set, and that go together: else the core does not build."""
    limits = {name: value for name, value in build.defines.items() if not name.startswith("MICROPY_")}
    known = set(re.findall(r"^#ifndef (PF_\w+)", (FIRMWARE / "pktfilter/pf.h").read_text(), re.MULTILINE))
    assert set(limits) <= known
    flags = [f"-D{name}={value}" for name, value in limits.items()]
    for source in sorted((FIRMWARE / "pktfilter").glob("pf*.c")):
        subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *flags, source], check=True)


def test_micropython_cmake_has_the_whole_core() -> None:
    sources = {path.name for path in (FIRMWARE / "pktfilter").glob("pf*.c")}
    assert (
        set(re.findall(r"/(pf\w*\.c)$", (FIRMWARE / "pktfilter/micropython.cmake").read_text(), re.MULTILINE))
        == sources
    )
    assert set(re.findall(r"\bpf\w*\.c\b", (FIRMWARE / "pktfilter/micropython.mk").read_text())) == sources


def test_micropython_cmake_has_all_that_is_the_chips() -> None:
    """The filter's glue for it, and every module in C: nothing links them together before a real build."""
    assert "set(PKTFILTER_GLUE glue_lwip.c glue_esp.c)" in (FIRMWARE / "pktfilter/micropython.cmake").read_text()
    included = re.findall(r"/(\w+)/micropython\.cmake\)$", (FIRMWARE / "micropython.cmake").read_text(), re.MULTILINE)
    assert set(included) == {path.parent.name for path in FIRMWARE.glob("*/micropython.cmake")}
    for path in FIRMWARE.glob("*/micropython.cmake"):
        modules = {source.name for source in path.parent.glob("mod*.c")}
        assert modules and modules <= set(re.findall(r"/(mod\w+\.c)", path.read_text()))


# ---- What is frozen ----


def freeze(build: Build, out: Path) -> tuple[str, dict[str, Path]]:
    """MicroPython's makemanifest.py and mpy-cross on the board's manifest: the C file, the compiled modules by name."""
    boards = out / "boards"
    shutil.copytree(
        BOARDS, boards, ignore=lambda folder, names: {"__pycache__", "SIM", "QEMU_RV32", "SIM_LWIP"} & set(names)
    )
    (out / "firmware").symlink_to(FIRMWARE)
    if not HAS_AIOBLE:
        common = boards / "manifest_esp32.py"
        text = common.read_text()
        assert text.count('require("aioble")\n') == 1
        common.write_text(text.replace('require("aioble")\n', ""))
    (out / "genhdr").symlink_to(QSTRS.parent)
    command = [sys.executable, MICROPYTHON / "tools/makemanifest.py", "-o", out / "frozen_content.c", "-b", out]
    command += [
        f"--mpy-cross-flags=-march={MARCH[build.chip]}",
        "-v",
        f"MPY_DIR={MICROPYTHON}",
        "-v",
        f"MPY_LIB_DIR={LIBRARY}",
        "-v",
        f"PORT_DIR={PORT}",
    ]
    command += ["-v", f"BOARD_DIR={build.directory}", boards / build.name / build.manifest.name]
    done = subprocess.run(
        command, env={**ENVIRONMENT, "MICROPY_MPYCROSS": str(MPY_CROSS)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    compiled = {
        str(path.relative_to(out / "frozen_mpy").with_suffix("")): path for path in (out / "frozen_mpy").rglob("*.mpy")
    }
    return (out / "frozen_content.c").read_text(), compiled


def builtin_modules() -> set[str]:
    """The modules in C of MicroPython's ESP32 port, and ours."""
    found = set()
    for folder in (MICROPYTHON / "py", MICROPYTHON / "extmod", PORT, *FIRMWARE.glob("*/")):
        for path in folder.glob("*.c"):
            found |= set(re.findall(r"MP_REGISTER_(?:EXTENSIBLE_)?MODULE\(MP_QSTR_(\w+)", path.read_text()))
    return found


def imported(path: Path, name: str) -> set[str]:
    """The modules that a frozen module asks for, whole names; without those that it tries for."""
    package = name.split("/")[:-1]
    found = set()
    tree = ast.parse(path.read_text())
    tried = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in tried:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.replace(".", "/") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = (
                package + (node.module.split(".") if node.module else [])
                if node.level
                else (node.module or "").split(".")
            )
            found.add("/".join(whole))
    return found


def test_manifest_freezes(build: Build, tmp_path: Path) -> None:
    """Every module of the firmware is in, compiled for the chip; and each module that one of them asks for is there."""
    content, compiled = freeze(build, tmp_path)
    ours = {str(path.relative_to(FIRMWARE).with_suffix("")): path for path in FIRMWARE.glob("speakeasy/*.py")} | {
        "main": FIRMWARE / "main.py"
    }
    assert set(ours) | {"board", "_boot", "flashbdev", "inisetup", "asyncio/__init__"} <= set(compiled)
    assert not [name for name in compiled if "webrepl" in name]
    assert all(f'"{name}.py\\0"' in content for name in ours)
    have = set(compiled) | {name.removesuffix("/__init__") for name in compiled} | builtin_modules()
    if not HAS_AIOBLE:
        have |= {"aioble"}
    for name, path in ours.items():
        missing = {module for module in imported(path, name) if module not in have}
        assert not missing, f"{name}: {missing}"
    size = sum(path.stat().st_size for path in compiled.values())
    aioble = "with" if HAS_AIOBLE else "without"
    print(f"{build.name}: {len(compiled)} modules frozen, {size} bytes, {aioble} aioble")


# ---- MicroPython's own book of boards ----


def test_board_json_is_what_micropythons_tools_read(tmp_path: Path) -> None:
    """build-downloads.py checks features and names, and makes a page of each."""
    folder = tmp_path / "repo/ports/esp32/boards"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).symlink_to(BOARDS / name)
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, MICROPYTHON / "tools/autobuild/build-downloads.py", tmp_path / "repo", out]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert sorted(board["id"] for board in json.loads((out / "index.json").read_text())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_board_json_is_complete(name: str) -> None:
    ours = json.loads((BOARDS / name / "board.json").read_text())
    theirs = json.loads((PORT / "boards/ESP32_GENERIC/board.json").read_text())
    assert set(theirs) - {"variants"} == set(ours) - {"variants"}
    assert set(ours.get("variants", {})) == {
        path.stem.removeprefix("mpconfigvariant_") for path in (BOARDS / name).glob("mpconfigvariant_*")
    }


def test_board_json_names_the_chip(build: Build) -> None:
    ours = json.loads((build.directory / "board.json").read_text())
    assert ours["mcu"] == build.chip
    # Where the chip's ROM looks for the bootloader: esptool's, and ESP-IDF's Kconfig.projbuild of the bootloader.
    assert int(ours["deploy_options"]["flash_offset"], 0) == (0x1000 if build.chip == "esp32" else 0)


# ---- Their pages ----


def test_page(build: Build) -> None:
    """A board's page names its pins, the command that builds it, and those of its variants."""
    page = (build.directory / "README.md").read_text()
    for name, number in pins(build).items():
        assert re.search(rf"^\| {'light' if name == 'LED' else 'button'} \| GPIO{number} \|", page, re.MULTILINE)
    asked = set(re.findall(r"^    make firmware BOARD=(\S+)", page, re.MULTILINE))
    variants = [path.stem.removeprefix("mpconfigvariant_") for path in build.directory.glob("mpconfigvariant_*.cmake")]
    assert asked == {build.name, *(f"{build.name}-{variant}" for variant in variants)}
    for target in re.findall(r"\]\((\.\./[^)]+)\)", page):
        assert (build.directory / target).resolve().is_file(), target


@pytest.mark.parametrize("page", sorted(BOARDS.glob("*/README.md")), ids=lambda page: page.parent.name)
def test_what_stands_behind_a_command_is_a_comment(page: Path) -> None:
    """Whoever copies a whole line runs the command, and nothing else."""
    for line in re.findall(r"^    (\S.*)$", page.read_text(), re.MULTILINE):
        command, _, rest = re.sub(r"\s{2,}", "\n", line).partition("\n")
        assert not rest or rest.startswith("# "), (command, rest)


def test_the_shared_page_has_the_sums() -> None:
    page = (BOARDS / "esp32_common/README.md").read_text()
    for what, name in (("each of two images", "ota_0"), ("files", "vfs")):
        sizes = []
        for board in ("ESP32", "ESP32_S3"):
            row = next(
                line
                for line in (BOARDS / board / "partitions.csv").read_text().splitlines()
                if line.startswith(f"{name},")
            )
            sizes.append(int(row.split(",")[4], 0) // 1024)
        assert f"| {what} | {sizes[0]} KiB | {sizes[1]} KiB |" in page
    for name in NAMES:
        assert f"(../{name}/README.md)" in page
