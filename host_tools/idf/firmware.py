"""`make firmware BOARD=...`: builds a board's image by MicroPython's own Makefile for ESP32, and tells the room left.

Usage: python -m idf.firmware [--check] BOARD, with MICROPYTHON_DIR and perhaps IDF_PATH in the environment. --check
only looks whether all that is needed is there. BOARD is as in BOARD-VARIANT. Results, in build/BOARD:

firmware.bin  bootloader, partition table and application in one, to be written to the flash at `offset`
flash.json    chip (as esptool names it); flash_size, offset, app_size, slot_size: bytes
"""

import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
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
UNITS = {"KB": 1024, "MB": 1024 * 1024}


@dataclass(frozen=True)
class Slot:
    name: str
    offset: int
    size: int


# ---- What there is to build with ----


def nothing_to_build_with() -> TreeError:
    release = trees.pinned("ESP_IDF_RELEASE")
    clone = f"git clone -b {release} --recursive https://github.com/espressif/esp-idf.git"
    return TreeError(
        "there is neither an ESP-IDF (IDF_PATH) nor a Docker at work to build with. Either of these will do:\n"
        f"  ESP-IDF: {clone}; esp-idf/install.sh; . esp-idf/export.sh\n"
        f"  Docker (package docker.io; or podman-docker): Espressif's image {image()} is then fetched by mpbuild"
    )


def image() -> str:
    return f"espressif/idf:{trees.pinned('ESP_IDF_RELEASE')}"


def docker_works() -> bool:
    if not shutil.which("docker"):
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=60, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def micropython_of(environment: Mapping[str, str]) -> Path:
    if not environment.get("MICROPYTHON_DIR"):
        release = trees.pinned("MICROPYTHON_RELEASE")
        clone = f"git clone -b {release} https://github.com/micropython/micropython.git"
        raise TreeError(f"MICROPYTHON_DIR=... must name a git clone of MicroPython: {clone}")
    return trees.micropython_tree(environment["MICROPYTHON_DIR"])


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
    home = Path(os.environ["HOME"]).resolve()
    if home not in trees.TOP.parents or any(" " in word for word in words):
        raise TreeError(
            f"mpbuild's container sees nothing but {home}, and no spaces: have Speakeasy in a folder of it."
        )
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
    print(f"firmware: {results / 'firmware.bin'}; next: make flash BOARD={board}")


def main(arguments: list[str]) -> int:
    only_check = arguments[:1] == ["--check"]
    board = arguments[-1] if arguments[only_check:] else ""
    try:
        if board not in trees.board_names():
            wrong = f"there is no board {board}" if board else "which board? Name it with BOARD=..."
            raise TreeError(f"{wrong}; there are: {', '.join(trees.board_names())}")
        path = os.environ.get("IDF_PATH")
        idf = trees.idf_tree(path) if path else None
        if not idf and not docker_works():
            raise nothing_to_build_with()
        micropython = micropython_of(os.environ)
        if only_check:
            warn_of_other_releases(micropython, idf)
            return 0
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
    except TreeError as error:
        print(f"firmware: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
