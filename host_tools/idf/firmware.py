"""`make firmware BOARD=...`: builds a board's image by MicroPython's own Makefile for ESP32, and tells the room left.

Usage: python -m idf.firmware [--check] BOARD, with MICROPYTHON_DIR and perhaps IDF_PATH in the environment. --check
only looks whether all that is needed is there. BOARD is as in BOARD-VARIANT. Results, in build/BOARD:

firmware.bin  bootloader, partition table and application in one, to be written to the flash at `offset`
flash.json    chip (as esptool names it); flash_size, offset, app_size, slot_size: bytes
"""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from idf import trees
from idf.trees import TreeError

# A board that every MicroPython has, for mpbuild, which builds no others: ours takes its place by BOARD_DIR.
BASE_BOARD = "ESP32_GENERIC"
# An entry of ESP-IDF's partition table in its binary form (little endian): magic, type, subtype, offset, size,
# name, flags (PartitionDefinition in its gen_esp32part.py).
PARTITION = struct.Struct("<2sBBLL16sL")
PARTITION_MAGIC = b"\xaa\x50"
APPLICATION = 0
DOCKER_LIMIT_S = 60.0
UNITS = {"KB": 1024, "MB": 1024 * 1024}


@dataclass(frozen=True)
class Slot:
    name: str
    offset: int
    size: int


# ---- What there is to build with ----


def image() -> str:
    return f"espressif/idf:{trees.pinned('ESP_IDF_RELEASE')}"


def docker_trouble() -> str | None:
    """Why there is no Docker to build with, in a sentence; None: there is."""
    if not shutil.which("docker"):
        return "Docker is not installed."
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=DOCKER_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return "Docker is installed, but does not answer within a minute: `sudo systemctl restart docker`."
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = next((line for line in lines if re.search("denied|cannot connect", line, re.IGNORECASE)), "".join(lines[:1]))
    if "denied" in said.lower():
        what = (
            "you may not use it. Join the group docker (whoever is in it is as good as root): `sudo adduser $USER "
            'docker`, log out and in. Or for once, and build/ is root\'s then: `sudo HOME="$HOME" make firmware ...`'
        )
    else:
        what = "it does not run: `sudo systemctl start docker`"
    return f"Docker is installed, but {what}. It says: {said[:200] or f'nothing (exit status {done.returncode})'}"


def lacking_to_build_with(idf_path: str | None, micropython: Path | None) -> list[str]:
    """What is wrong with ESP-IDF, or else with Docker."""
    if idf_path:
        lacking = []
        try:
            trees.idf_tree(idf_path)
        except TreeError as error:
            lacking.append(str(error))
        packages = [package for package, there in tools().items() if not there]
        return lacking + ([f"tools: `sudo apt install {' '.join(packages)}`"] if packages else [])
    trouble = docker_trouble()
    if trouble and shutil.which("docker"):
        return [trouble]
    if trouble:
        release = trees.pinned("ESP_IDF_RELEASE")
        return [
            f"Docker: `sudo apt install docker.io`, `sudo adduser $USER docker`, log out and in; Espressif's image "
            f"{image()} is then fetched by itself (some GB)",
            f"or, instead of it, ESP-IDF, by Espressif's own guide: `git clone -b {release} --recursive "
            "https://github.com/espressif/esp-idf.git && esp-idf/install.sh`, and IDF_PATH=.../esp-idf",
        ]
    return lacking_to_mount(micropython)


def lacking_to_mount(micropython: Path | None) -> list[str]:
    """What keeps mpbuild's container from seeing our files: it is given the home directory, and MicroPython's tree."""
    home = Path(os.environ.get("HOME", "/")).resolve()
    if home not in trees.TOP.parents:
        sudo = ' With sudo: `sudo HOME="$HOME" make firmware ...`.' if "SUDO_USER" in os.environ else ""
        return [f"the container sees nothing but {home}: have Speakeasy in a folder of it.{sudo}"]
    if any(" " in str(path) for path in (trees.TOP, micropython)):
        return ["the build takes no spaces in paths: have Speakeasy and MicroPython in folders without."]
    return []


def tools() -> dict[str, bool]:
    """Debian's packages that ESP-IDF's tools and MicroPython's mpy-cross want: whether each is there."""
    espressif = Path(os.environ.get("IDF_TOOLS_PATH") or Path.home() / ".espressif") / "tools"
    return {
        "git": bool(shutil.which("git")),
        "gcc libc6-dev": bool(shutil.which("gcc")),
        "cmake": bool(shutil.which("cmake")) or (espressif / "cmake").is_dir(),
        "ninja-build": bool(shutil.which("ninja")) or (espressif / "ninja").is_dir(),
    }


def lacking_of_micropython(environment: Mapping[str, str], board: str) -> list[str]:
    path = environment.get("MICROPYTHON_DIR")
    if not path:
        return [f"MicroPython: `{trees.clone_micropython()}`, and MICROPYTHON_DIR=../micropython"]
    try:
        tree = trees.micropython_to_build(path)
    except TreeError as error:
        return [str(error)]
    if trees.is_emulated(board) and not trees.knows_qemu(tree):
        return [
            f"{board} needs a MicroPython later than 1.28, and this is {trees.micropython_version(tree)}: in a git "
            f"clone `git -C {path} fetch --depth 1 origin master && git -C {path} checkout FETCH_HEAD` gets one."
        ]
    return []


def lacking(board: str, environment: Mapping[str, str]) -> list[str]:
    """All that is not there to build this board with, a line each."""
    found = [] if board in trees.board_names() else [which_board(board)]
    of_micropython = lacking_of_micropython(environment, board)
    path = environment.get("MICROPYTHON_DIR")
    micropython = Path(path).resolve() if path and not of_micropython else None
    return found + of_micropython + lacking_to_build_with(environment.get("IDF_PATH"), micropython)


def which_board(board: str) -> str:
    said = f"there is no board {board}" if board else "which board? Name it with BOARD=..."
    notes = {trees.RECOMMENDED: " (recommended)"}
    notes |= {
        name: " (for Espressif's QEMU, not to be flashed)" for name in trees.board_names() if trees.is_emulated(name)
    }
    return f"{said}; there are: {', '.join(name + notes.get(name, '') for name in trees.board_names())}"


def complain(found: Sequence[str]) -> None:
    if len(found) == 1:
        print(f"firmware: {found[0]}", file=sys.stderr)
        return
    print("firmware: this is missing:", file=sys.stderr)
    for line in found:
        print(f"  {line}", file=sys.stderr)


def warn_of_other_releases(micropython: Path, idf: Path | None) -> None:
    found = {"MICROPYTHON_RELEASE": trees.micropython_version(micropython)}
    if idf:
        found["ESP_IDF_RELEASE"] = trees.idf_version(idf)
    for name, version in found.items():
        if f"v{version}" != trees.pinned(name):
            what = "ESP-IDF" if name.startswith("ESP") else "MicroPython"
            print(
                f"firmware: this is {what} {version}; what goes together is {trees.pinned(name)} (boards/versions.mk)"
            )


# ---- Building ----


def variables(name: str, out: Path) -> list[str]:
    """For MicroPython's ports/esp32/Makefile. The board's own CMake file names the manifest."""
    board, _, variant = name.partition("-")
    words = [f"BOARD={board}", f"BOARD_DIR={trees.BOARDS / board}", f"BUILD={out}"]
    words += [f"BOARD_VARIANT={variant}"] if variant else []
    return [*words, f"USER_C_MODULES={trees.USER_MODULE}"]


def build_with_idf(micropython: Path, idf: Path, words: list[str]) -> None:
    port = str(micropython / "ports/esp32")
    steps = [
        ["make", "-C", str(micropython / "mpy-cross")],
        ["make", "-C", port, "submodules", *words],
        ["make", "-C", port, *words],
    ]
    script = " && ".join(shlex.join(step) for step in steps)
    if not shutil.which("idf.py"):
        # Quiet when it works; what it says otherwise is no help without the name of the script that mends it.
        export, install = (shlex.quote(str(idf / name)) for name in ("export.sh", "install.sh"))
        sentence = f"firmware: ESP-IDF's tools are not there: run {install} first."
        ready = f". {export} >/dev/null && command -v idf.py >/dev/null"
        script = f"{ready} || {{ echo {shlex.quote(sentence)} >&2; exit 1; }}; {script}"
    # The caller's make has options and variables of its own.
    environment = {name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    if subprocess.run(["bash", "-c", script], env=environment, check=False).returncode:
        raise TreeError("the build failed: see the lines above.")


def container_command(micropython: Path, words: list[str]) -> str:
    """mpbuild's command for one of MicroPython's boards; the later words win."""
    from mpbuild.board_database import Database
    from mpbuild.build import docker_build_cmd

    board = Database(micropython, port_filter="esp32").boards[BASE_BOARD]
    return docker_build_cmd(
        board=board, extra_args=words, build_container_override=image(), docker_interactive=sys.stdin.isatty()
    )


def build_in_container(micropython: Path, words: list[str]) -> None:
    if subprocess.run(container_command(micropython, words), shell=True, check=False).returncode:
        raise TreeError("the build in the container failed: see the lines above.")


# ---- What came out ----


def read_slots(table: bytes) -> list[Slot]:
    """The partitions that an application may lie in."""
    found = []
    for start in range(0, len(table) - PARTITION.size + 1, PARTITION.size):
        magic, kind, _, offset, size, name, _ = PARTITION.unpack_from(table, start)
        if magic != PARTITION_MAGIC:
            break
        if kind == APPLICATION:
            found.append(Slot(name.rstrip(b"\0").decode(), offset, size))
    return found


def read_sdkconfig(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines() if line.startswith("CONFIG_"))
    return {name: value.strip('"') for name, _, value in lines}


def size_of(text: str) -> int:
    """Bytes of a size such as 8MB."""
    return int(text[:-2]) * UNITS[text[-2:]]


def report(board: str, app: int, slots: list[Slot]) -> bool:
    """Says how much room the application leaves in each slot. Whether it fits into all."""
    print(f"{board}: the application has {app:,} bytes")
    for slot in slots:
        left = slot.size - app
        room = f"{left:,} left ({100 * left // slot.size} %)" if left >= 0 else f"{-left:,} TOO FEW"
        print(f"  slot {slot.name} at {slot.offset:#x}: {slot.size:,} bytes, {room}")
    return all(app <= slot.size for slot in slots)


def finish(board: str, built: Path, results: Path) -> None:
    """From MicroPython's build directory to our results."""
    options = read_sdkconfig(built / "sdkconfig")
    slots = read_slots((built / "partition_table/partition-table.bin").read_bytes())
    app = (built / "micropython.bin").stat().st_size
    if not slots:
        raise TreeError(f"{board}'s partition table has no slot for an application.")
    if not report(board, app, slots):
        raise TreeError(f"the application does not fit: make it smaller, or {board}'s slots larger.")
    shutil.copyfile(built / "firmware.bin", results / "firmware.bin")
    facts = {
        "chip": options["CONFIG_IDF_TARGET"],
        "flash_size": size_of(options["CONFIG_ESPTOOLPY_FLASHSIZE"]),
        "offset": int(options["CONFIG_BOOTLOADER_OFFSET_IN_FLASH"], 0),
        "app_size": app,
        "slot_size": min(slot.size for slot in slots),
    }
    (results / "flash.json").write_text(json.dumps(facts, indent=1) + "\n")
    following = f"next: make flash BOARD={board}"
    if trees.is_emulated(board):
        following = f"next: boards/{board.partition('-')[0]}/README.md says how to start it in QEMU"
    print(f"firmware: {results / 'firmware.bin'}; {following}")


def build(board: str, micropython: Path, idf: Path | None) -> None:
    results = trees.TOP / "build" / board
    built = results / "idf"
    results.mkdir(parents=True, exist_ok=True)
    # Nobody flashes an older build's by mistake.
    for name in ("firmware.bin", "flash.json"):
        (results / name).unlink(missing_ok=True)
    if idf:
        build_with_idf(micropython, idf, variables(board, built))
    else:
        build_in_container(micropython, variables(board, built))
    finish(board, built, results)


def main(arguments: list[str]) -> int:
    only_check = arguments[:1] == ["--check"]
    board = arguments[-1] if arguments[only_check:] else ""
    try:
        if found := lacking(board, os.environ):
            complain(found)
            return 2
        micropython = trees.micropython_to_build(os.environ["MICROPYTHON_DIR"])
        path = os.environ.get("IDF_PATH")
        idf = trees.idf_tree(path) if path else None
        if only_check:
            warn_of_other_releases(micropython, idf)
        else:
            build(board, micropython, idf)
    except TreeError as error:
        print(f"firmware: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"firmware: {error.filename}: {error.strerror}.{whose(error)}", file=sys.stderr)
        return 2
    return 0


def whose(error: OSError) -> str:
    """What to do about it."""
    if isinstance(error, PermissionError):
        return f" An earlier make run as root left it so: `sudo chown -R $USER {trees.TOP}/build`, and try again."
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
