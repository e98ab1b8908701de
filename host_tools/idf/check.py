"""`make check-idf`: our C against the headers of ESP-IDF and MicroPython, boards' options against ESP-IDF's Kconfig.

Usage: python -m idf.check OUT, with IDF_PATH and MICROPYTHON_DIR in the environment. Writes nothing but OUT.

Nothing is built: every C file of ours that goes on an ESP32 is compiled with -fsyntax-only, for one chip of either
architecture, with the sdkconfig.h that Espressif's kconfgen makes, and with names (MP_QSTR_...) that MicroPython's own
scripts collect. Headers of others count as the system's, so that all warnings are about us. Where there is no compiler
for Xtensa, one for RISC-V reads the same headers with Xtensa's macros: syntax and types are the chip's; inline
assembler is looked at by no compiler at this stage.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from idf import trees
from idf.trees import TreeError

# Espressif's own, when its export.sh has put them on the path, else Debian's, else any GCC that makes 32-bit code.
RISCV_COMPILERS = ("riscv32-esp-elf-gcc", "riscv64-unknown-elf-gcc", "gcc")
XTENSA_COMPILERS = ("xtensa-esp32s3-elf-gcc", "xtensa-esp-elf-gcc", *RISCV_COMPILERS)
# newlib's headers, for a compiler that brings none: Debian's libnewlib-dev.
NEWLIB = Path("/usr/include/newlib")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
# Where the components of ESP-IDF keep what they show to others; those that a release lacks are left out.
INCLUDES = (
    "freertos/config/include",
    "freertos/config/include/freertos",
    "freertos/config/{arch}/include",
    "freertos/FreeRTOS-Kernel/include",
    "freertos/FreeRTOS-Kernel/portable/{arch}/include",
    "freertos/FreeRTOS-Kernel/portable/{arch}/include/freertos",
    "freertos/esp_additions/include",
    "lwip/include/apps",
    "lwip/lwip/src/include",
    "lwip/port/include",
    "lwip/port/freertos/include",
    "lwip/port/esp32xx/include",
    "lwip/port/esp32xx/include/arch",
    "esp_hw_support/include/soc/{chip}",
    "esp_hw_support/port/{chip}",
    "esp_rom/include/{chip}",
    "esp_rom/{chip}/include",
    "esp_rom/{chip}/include/{chip}",
    "esp_rom/{chip}",
    "hal/platform_port/include",
    "newlib/platform_include",
    "soc/{chip}",
    "soc/{chip}/register",
    "wpa_supplicant/esp_supplicant/include",
    "xtensa/deprecated_include",
    "*/include",
    "*/{chip}/include",
    "driver/*/include",
)


@dataclass(frozen=True)
class Chip:
    """A chip to compile for, and the files of MicroPython's that say what its boards have in common."""

    name: str
    arch: str
    compilers: tuple[str, ...]
    sdkconfig: tuple[str, ...]


CHIPS = (
    Chip("esp32c3", "riscv", RISCV_COMPILERS, ("sdkconfig.base", "sdkconfig.riscv", "sdkconfig.ble")),
    Chip("esp32s3", "xtensa", XTENSA_COMPILERS, ("sdkconfig.base", "sdkconfig.ble", "sdkconfig.spiram_sx")),
)


@dataclass(frozen=True)
class Trees:
    idf: Path
    micropython: Path
    out: Path


# ---- ESP-IDF's configuration ----


def kconfgen(idf: Path, target: str, defaults: Iterable[Path], out: Path) -> str:
    """Makes out/sdkconfig and out/sdkconfig.h, as ESP-IDF does for MicroPython's CMakeLists.txt. What kconfgen said."""
    out.mkdir(parents=True, exist_ok=True)
    components = sorted(path for path in (idf / "components").iterdir() if path.is_dir())
    environment = {
        "IDF_PATH": str(idf),
        "IDF_TARGET": target,
        "IDF_TOOLCHAIN": "gcc",
        "IDF_VERSION": trees.idf_version(idf),
        "IDF_INIT_VERSION": trees.idf_version(idf),
        "IDF_ENV_FPGA": "",
        "IDF_MINIMAL_BUILD": "n",
    }
    for variable, name in (("COMPONENT_KCONFIGS", "Kconfig"), ("COMPONENT_KCONFIGS_PROJBUILD", "Kconfig.projbuild")):
        files = [component / name for component in components if (component / name).is_file()]
        (out / name).write_text("".join(f'source "{file}"\n' for file in files))
        environment |= {variable: "", f"{variable}_SOURCE_FILE": str(out / name)}
    names = ("sdkconfig.rename", f"sdkconfig.rename.{target}")
    renames = [str(component / name) for component in components for name in names if (component / name).is_file()]
    environment["COMPONENT_SDKCONFIG_RENAMES"] = ";".join(renames)
    (out / "environment.json").write_text(json.dumps(environment))
    (out / "sdkconfig").unlink(missing_ok=True)
    (out / "sdkconfig.combined").write_text("".join(file.read_text() for file in defaults))
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "kconfgen",
        "--list-separator=semicolon",
        "--kconfig",
        idf / "Kconfig",
    ]
    command += ["--sdkconfig-rename", idf / "sdkconfig.rename", "--env-file", out / "environment.json"]
    command += ["--config", out / "sdkconfig", "--defaults", out / "sdkconfig.combined"]
    command += ["--output", "header", out / "sdkconfig.h", "--output", "config", out / "sdkconfig"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TreeError(f"kconfgen failed for {target}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def assignments(text: str) -> dict[str, str]:
    """The options that a sdkconfig file sets, with their values; `n` for those that it unsets."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.match(r"(CONFIG_\w+)=(.*)$", line.strip()):
            found[match[1]] = match[2].strip()
        elif match := re.match(r"# (CONFIG_\w+) is not set$", line.strip()):
            found[match[1]] = "n"
    return found


def own_options(board: trees.Board) -> dict[str, tuple[str, str]]:
    """What the board's own files, not MicroPython's, ask for: value and file of each option. The later file counts."""
    own = [file for file in board.sdkconfig if trees.BOARDS in file.parents]
    return {name: (value, file.name) for file in own for name, value in assignments(file.read_text()).items()}


def differences(board: trees.Board, made: Path) -> list[str]:
    """What the board's own files ask for and Kconfig does not give: unknown names, other chips', unmet dependencies."""
    given = assignments(made.read_text())
    found = []
    for name, (wanted, file) in own_options(board).items():
        got = given.get(name)
        if got is None and wanted != "n":
            found.append(f"{file}: {name}={wanted}: {board.target} has no such option")
        elif got is not None and _value(got) != _value(wanted):
            found.append(f"{file}: {name}={wanted}: it became {got}")
    return found


def _value(text: str) -> str | int:
    """A number for a number, however written; an empty string is an option that is not set."""
    try:
        return int(text, 0)
    except ValueError:
        return text or "n"


# ---- The compiler ----


def compiler_of(chip: Chip) -> str:
    found = next((path for name in chip.compilers if (path := shutil.which(name))), None)
    if not found:
        raise TreeError(f"No C compiler for {chip.name}: install the package gcc-riscv64-unknown-elf.")
    return found


def machine_flags(chip: Chip, compiler: str) -> list[str]:
    """What makes this compiler read headers as the chip's would."""
    macros = subprocess.run(
        [compiler, "-dM", "-E", "-x", "c", os.devnull], capture_output=True, text=True, check=True
    ).stdout
    flags: list[str] = []
    xtensa = "#define __XTENSA__ " in macros
    if "#define __riscv " in macros:
        flags += ["-march=rv32imc", "-mabi=ilp32"]
    elif not xtensa:
        flags += ["-m32"]
    if chip.arch == "xtensa" and not xtensa:
        # Older newlibs know no Xtensa: the size of its jmp_buf.
        flags += ["-U__riscv", "-U__i386__", "-D__XTENSA__=1", "-D__XTENSA_EL__=1", "-D_JBTYPE=int", "-D_JBLEN=17"]
    if "-esp" not in Path(compiler).name:
        if not NEWLIB.is_dir():
            raise TreeError(f"newlib's headers are missing ({NEWLIB}): install the package libnewlib-dev.")
        flags += ["-isystem", str(NEWLIB)]
    return flags


def include_directories(idf: Path, chip: Chip) -> list[Path]:
    components = idf / "components"
    others = {"linux", "xtensa" if chip.arch == "riscv" else "riscv"}
    found: dict[Path, None] = {}
    for pattern in INCLUDES:
        for path in sorted(components.glob(pattern.format(chip=chip.name, arch=chip.arch))):
            if path.is_dir() and path.relative_to(components).parts[0] not in others:
                found[path] = None
    return list(found)


def flags_of(where: Trees, chip: Chip, compiler: str) -> list[str]:
    words = ["-std=gnu17", *machine_flags(chip, compiler)]
    words += [
        "-DESP_PLATFORM",
        "-D_GNU_SOURCE",
        "-D_POSIX_READER_WRITER_LOCKS",
        f'-DIDF_VER="v{trees.idf_version(where.idf)}"',
    ]
    words += ["-DSOC_MMU_PAGE_SIZE=CONFIG_MMU_PAGE_SIZE", "-DSOC_XTAL_FREQ_MHZ=CONFIG_XTAL_FREQ"]
    words += ["-DMICROPY_VFS_FAT=1", "-DMICROPY_VFS_LFS2=1", "-include", str(where.out / chip.name / "sdkconfig.h")]
    directories = [
        where.out / chip.name,
        where.micropython,
        where.micropython / "ports/esp32",
        *include_directories(where.idf, chip),
    ]
    return words + [word for path in directories for word in ("-isystem", str(path))]


# ---- What MicroPython generates ----


def generate_names(where: Trees, chip: Chip, compile_: list[str], sources: list[Path]) -> None:
    """genhdr/*.h for our C files alone, by MicroPython's own scripts and in its mkrules.cmake's steps."""
    genhdr = where.out / chip.name / "genhdr"
    genhdr.mkdir(parents=True, exist_ok=True)
    py = where.micropython / "py"

    def run(*words: str | Path, text: str | None = None) -> str:
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise TreeError(f"{' '.join(str(word) for word in words[:3])} ... failed:\n{done.stderr}")
        return done.stdout

    last = genhdr / "qstr.i.last"
    last.write_text(run(*compile_, "-DNO_QSTR", "-E", *sources))
    for mode in ("qstr", "module", "root_pointer"):
        run(sys.executable, py / "makeqstrdefs.py", "split", mode, last, genhdr / mode, "_")
        run(sys.executable, py / "makeqstrdefs.py", "cat", mode, "_", genhdr / mode, genhdr / f"{mode}.collected")
    (genhdr / "moduledefs.h").write_text(run(sys.executable, py / "makemoduledefs.py", genhdr / "module.collected"))
    (genhdr / "root_pointers.h").write_text(
        run(sys.executable, py / "make_root_pointers.py", genhdr / "root_pointer.collected")
    )
    definitions = [py / "qstrdefs.h", where.micropython / "ports/esp32/qstrdefsport.h", genhdr / "qstr.collected"]
    quoted = re.sub(r"^(Q\(.*\))", r'"\1"', "".join(file.read_text() for file in definitions), flags=re.MULTILINE)
    preprocessed = run(*compile_, "-E", "-P", "-x", "c", "-", text=quoted)
    (genhdr / "qstrdefs.preprocessed.h").write_text(re.sub(r'^"(Q\(.*\))"', r"\1", preprocessed, flags=re.MULTILINE))
    (genhdr / "qstrdefs.generated.h").write_text(
        run(sys.executable, py / "makeqstrdata.py", genhdr / "qstrdefs.preprocessed.h")
    )


# ---- The checks ----


def check_sources(where: Trees, chip: Chip) -> int:
    """Compiles all of our C files for this chip. How many do not."""
    out = where.out / chip.name
    compiler = compiler_of(chip)
    options = where.micropython / "ports/esp32/boards"
    # Older releases of MicroPython lack some of them.
    kconfgen(where.idf, chip.name, [options / name for name in chip.sdkconfig if (options / name).is_file()], out)
    (out / "mpconfigboard.h").write_text(
        f'#define MICROPY_HW_BOARD_NAME "check"\n#define MICROPY_HW_MCU_NAME "{chip.name}"\n'
    )
    named, directories = trees.user_module(where.idf, out / "module")
    sources = [source for source in named if source.is_file()]
    for source in set(named) - set(sources):
        print(f"{trees.USER_MODULE.name} names {source.name}, which is not there")
    own = [word for path in directories if trees.TOP in path.parents for word in ("-I", str(path))]
    compile_ = [compiler, *flags_of(where, chip, compiler), *own]
    compile_ += [word for path in directories if trees.TOP not in path.parents for word in ("-isystem", str(path))]
    generate_names(where, chip, compile_, sources)
    bad = len(named) - len(sources)
    for source in sources:
        done = subprocess.run(
            [*compile_, *WARNINGS, "-fsyntax-only", source], capture_output=True, text=True, check=False
        )
        if done.returncode:
            bad += 1
            print(done.stderr)
    print(
        f"{chip.name}: {len(named) - bad} of {len(named)} C files compile ({Path(compiler).name}, -fsyntax-only)",
        flush=True,
    )
    return bad


def check_board(where: Trees, name: str) -> int:
    """Asks Kconfig what becomes of the board's options. How many are not what the board's files say."""
    out = where.out / name
    board = trees.read_board(name, where.micropython, out / "board")
    kconfgen(where.idf, board.target, board.sdkconfig, out)
    found = differences(board, out / "sdkconfig")
    for line in found:
        print(f"{name}: {line}")
    own = len(own_options(board))
    print(f"{name}: {own - len(found)} of {own} options of its own are in force ({board.target})", flush=True)
    return len(found)


def main(arguments: list[str]) -> int:
    try:
        idf = trees.idf_tree(os.environ["IDF_PATH"])
        where = Trees(idf, trees.micropython_tree(os.environ["MICROPYTHON_DIR"]), Path(arguments[0]).resolve())
        releases = f"ESP-IDF {trees.idf_version(idf)}, MicroPython {trees.micropython_version(where.micropython)}"
        print(f"check-idf: {releases}", flush=True)
        bad = sum(check_sources(where, chip) for chip in CHIPS)
        bad += sum(check_board(where, name) for name in trees.board_names())
    except TreeError as error:
        print(f"check-idf: {error}", file=sys.stderr)
        return 2
    if bad:
        print(f"check-idf: {bad} findings: see above", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
