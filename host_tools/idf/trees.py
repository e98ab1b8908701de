"""What a build for a real board stands on: our boards' files, a MicroPython tree and an ESP-IDF tree of the user's."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BOARDS = TOP / "boards"
# A board for ESP-IDF is one that MicroPython's CMake files could include.
BOARD_FILE = "mpconfigboard.cmake"
VARIANT_FILE = "mpconfigvariant_"
# Of the boards, whose page is the first to be read; and a variant that is not to be flashed.
RECOMMENDED = "ESP32_S3"
EMULATED = "QEMU"
# What goes on the chip besides MicroPython.
USER_MODULE = TOP / "firmware/micropython.cmake"


class TreeError(Exception):
    """For the user: what is wrong with a tree, and what to do."""


@dataclass(frozen=True)
class Board:
    """One of boards/*: what its mpconfigboard.cmake says to a given MicroPython."""

    name: str
    directory: Path
    target: str  # the chip, as ESP-IDF and esptool name it
    sdkconfig: tuple[Path, ...]  # files of ESP-IDF's options, MicroPython's own and the board's, in their order
    own: tuple[Path, ...]  # those of them that are ours
    definitions: tuple[str, ...]  # for the C compiler


def board_names() -> list[str]:
    """As MicroPython names its images: BOARD, or BOARD-VARIANT."""
    names = []
    for file in BOARDS.glob(f"*/{BOARD_FILE}"):
        variants = [path.stem.removeprefix(VARIANT_FILE) for path in file.parent.glob(f"{VARIANT_FILE}*.cmake")]
        names += [file.parent.name, *(f"{file.parent.name}-{variant}" for variant in variants)]
    return sorted(names)


def is_emulated(board: str) -> bool:
    """Whether it is no board, but one for Espressif's QEMU."""
    return board.partition("-")[2] == EMULATED


def pinned(name: str) -> str:
    """A line `NAME := VALUE` of boards/versions.mk."""
    found = re.search(rf"^{name} *:= *(\S+)$", (BOARDS / "versions.mk").read_text(), re.MULTILINE)
    assert found, name
    return found[1]


def _cmake(script: str, scratch: Path, *words: str) -> list[str]:
    """Has CMake run `script`, which appends to the file ${ANSWER}; its lines."""
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.12)\nproject(ask NONE)\n{script}")
    answer = scratch / "answer"
    answer.unlink(missing_ok=True)
    command = ["cmake", "-S", str(scratch), "-B", str(scratch / "cmake"), f"-DANSWER={answer}", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TreeError("CMake is missing: install the package cmake.") from None
    if done.returncode:
        raise TreeError(f"CMake cannot read our files:\n{done.stderr.strip()}")
    return answer.read_text().splitlines()


def read_board(name: str, micropython: Path, scratch: Path) -> Board:
    """Has CMake read the board's files, as MicroPython's ports/esp32/CMakeLists.txt does."""
    port = micropython / "ports/esp32"
    board, _, variant = name.partition("-")
    script = f"""\
set(MICROPY_BOARD {board})
set(MICROPY_BOARD_DIR "{BOARDS / board}")
include("${{MICROPY_BOARD_DIR}}/{BOARD_FILE}")
{f'include("${{MICROPY_BOARD_DIR}}/{VARIANT_FILE}{variant}.cmake")' if variant else ""}
file(WRITE ${{ANSWER}} "target ${{IDF_TARGET}}\\n")
foreach(file ${{SDKCONFIG_DEFAULTS}})
    get_filename_component(file "${{file}}" ABSOLUTE BASE_DIR "{port}")
    file(APPEND ${{ANSWER}} "sdkconfig ${{file}}\\n")
endforeach()
foreach(definition ${{MICROPY_DEF_BOARD}})
    file(APPEND ${{ANSWER}} "definition ${{definition}}\\n")
endforeach()
"""
    answers = [line.split(" ", 1) for line in _cmake(script, scratch)]
    files = tuple(Path(path) for kind, path in answers if kind == "sdkconfig")
    return Board(
        name,
        BOARDS / board,
        answers[0][1],
        files,
        tuple(file for file in files if port not in file.parents),
        tuple(text for kind, text in answers if kind == "definition"),
    )


def user_module(idf: Path, scratch: Path) -> tuple[list[Path], list[Path]]:
    """Our C files and their include directories, as our micropython.cmake tells them to MicroPython's usermod.cmake."""
    script = f"""\
add_library(usermod INTERFACE)
include("{USER_MODULE}")
get_target_property(libraries usermod INTERFACE_LINK_LIBRARIES)
foreach(library ${{libraries}})
    foreach(kind SOURCES INCLUDE_DIRECTORIES)
        get_target_property(paths ${{library}} INTERFACE_${{kind}})
        foreach(path ${{paths}})
            file(APPEND ${{ANSWER}} "${{kind}} ${{path}}\\n")
        endforeach()
    endforeach()
endforeach()
"""
    lines = [line.split(" ", 1) for line in _cmake(script, scratch, f"-DIDF_PATH={idf}")]
    return [Path(path) for kind, path in lines if kind == "SOURCES"], [
        Path(path) for kind, path in lines if kind != "SOURCES"
    ]


def clone_micropython() -> str:
    return f"git clone -b {pinned('MICROPYTHON_RELEASE')} https://github.com/micropython/micropython.git ../micropython"


def micropython_tree(path: str) -> Path:
    tree = Path(path).expanduser().resolve()
    if not (tree / "ports/esp32/esp32_common.cmake").is_file():
        raise TreeError(
            f"MICROPYTHON_DIR={path} is no MicroPython source tree with its ESP32 port: name a git clone of it."
        )
    return tree


# Of a tree that an image is built from; and of its submodules, which a git clone fetches when it is built.
WHOLE = ("mpy-cross/Makefile", "ports/esp32/Makefile", "ports/esp32/boards/ESP32_GENERIC/board.json", "py/mpconfig.h")
SUBMODULES = ("lib/micropython-lib/README.md", "lib/berkeley-db-1.xx/README")


def micropython_to_build(path: str) -> Path:
    """A tree with all that an image is built from, or that can fetch it."""
    tree = micropython_tree(path)
    missing = [name for name in WHOLE if not (tree / name).is_file()]
    if not missing and not (tree / ".git").exists():
        missing = [name for name in SUBMODULES if not (tree / name).is_file()]
    if missing:
        debians = tree == TOP / "build/micropython"
        why = "is Debian's source, for the simulated board" if debians else "is not whole, and no git clone"
        if (tree / ".git").exists():
            why = "is a git clone with files missing (`git status` there lists them)"
        raise TreeError(
            f"MICROPYTHON_DIR={path} {why}: it lacks {', '.join(missing)}. Name another: `{clone_micropython()}`"
        )
    return tree


def knows_qemu(tree: Path) -> bool:
    """Whether this MicroPython has a driver for the Ethernet of Espressif's QEMU; none up to 1.28 has."""
    driver = tree / "ports/esp32/network_lan.c"
    return driver.is_file() and "PHY_OPENETH" in driver.read_text()


def idf_tree(path: str) -> Path:
    tree = Path(path).expanduser().resolve()
    if not (tree / "components/esp_wifi/include/esp_wifi.h").is_file():
        raise TreeError(f"IDF_PATH={path} is no ESP-IDF source tree: name the directory that has its export.sh.")
    if not (tree / "components/lwip/lwip/src/include/lwip/netif.h").is_file():
        raise TreeError(
            f"{path}/components/lwip/lwip is empty: run `git submodule update --init --recursive` in {path}."
        )
    return tree


def idf_version(tree: Path) -> str:
    """Major, minor and patch."""
    text = (tree / "tools/cmake/version.cmake").read_text()
    return ".".join(re.findall(r"set\(IDF_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)\)", text))


def micropython_version(tree: Path) -> str:
    text = (tree / "py/mpconfig.h").read_text()
    return ".".join(re.findall(r"^#define MICROPY_VERSION_(?:MAJOR|MINOR|MICRO) (\d+)", text, re.MULTILINE))
