"""`make check-idf`: our C against the headers of ESP-IDF and MicroPython, boards' options against ESP-IDF's Kconfig.

Usage: python -m idf.check [OUT], with IDF_PATH and MICROPYTHON_DIR in the environment. Writes nothing but OUT;
without it, it only looks at the two trees.

Nothing is built: every C file of ours that goes on an ESP32 is compiled with -fsyntax-only, for each board, with the
sdkconfig.h that Espressif's kconfgen makes of its options, and with names (MP_QSTR_...) that MicroPython's own scripts
collect. Headers of others count as the system's, so that all warnings are about us. Where there is no compiler
for Xtensa, one for RISC-V reads the same headers with Xtensa's macros: syntax and types are the chip's; inline
assembler is looked at by no compiler at this stage.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from idf import firmware, trees
from idf.trees import TreeError

# Espressif's own, when its export.sh has put them on the path, else Debian's, else any GCC that makes 32-bit code.
RISCV_COMPILERS = ("riscv32-esp-elf-gcc", "riscv64-unknown-elf-gcc", "gcc")
XTENSA_COMPILERS = ("xtensa-{target}-elf-gcc", "xtensa-esp-elf-gcc", *RISCV_COMPILERS)
XTENSA_TARGETS = ("esp32", "esp32s2", "esp32s3")
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
    "esp_hw_support/include/soc/{target}",
    "esp_hw_support/port/{target}",
    "esp_rom/include/{target}",
    "esp_rom/{target}/include",
    "esp_rom/{target}/include/{target}",
    "esp_rom/{target}",
    "hal/platform_port/include",
    "newlib/platform_include",
    "soc/{target}",
    "soc/{target}/register",
    "wpa_supplicant/esp_supplicant/include",
    "xtensa/deprecated_include",
    "*/include",
    "*/{target}/include",
    "driver/*/include",
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
    return {name: (value, file.name) for file in board.own for name, value in assignments(file.read_text()).items()}


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


def is_xtensa(target: str) -> bool:
    return target in XTENSA_TARGETS


def compiler_of(target: str) -> str:
    names = XTENSA_COMPILERS if is_xtensa(target) else RISCV_COMPILERS
    found = next((path for name in names if (path := shutil.which(name.format(target=target)))), None)
    if not found:
        raise TreeError(f"No C compiler for {target}: install the package gcc-riscv64-unknown-elf.")
    return found


def machine_flags(target: str, compiler: str) -> list[str]:
    """What makes this compiler read headers as the target's would."""
    dump = [compiler, "-dM", "-E", "-x", "c", os.devnull]
    macros = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    flags: list[str] = []
    xtensa = "#define __XTENSA__ " in macros
    riscv = "#define __riscv " in macros
    if riscv:
        flags += ["-march=rv32imc", "-mabi=ilp32"]
    elif not xtensa:
        flags += ["-m32"]
    if not is_xtensa(target) and not riscv:
        flags += ["-U__i386__", "-D__riscv=1", "-D__riscv_xlen=32"]
    if is_xtensa(target) and not xtensa:
        # Older newlibs know no Xtensa: the size of its jmp_buf.
        flags += ["-U__riscv", "-U__i386__", "-D__XTENSA__=1", "-D__XTENSA_EL__=1", "-D_JBTYPE=int", "-D_JBLEN=17"]
    if "-esp" not in Path(compiler).name:
        if not NEWLIB.is_dir():
            raise TreeError(f"newlib's headers are missing ({NEWLIB}): install the package libnewlib-dev.")
        flags += ["-isystem", str(NEWLIB)]
    return flags


def include_directories(idf: Path, target: str) -> list[Path]:
    components = idf / "components"
    arch, other = ("xtensa", "riscv") if is_xtensa(target) else ("riscv", "xtensa")
    found: dict[Path, None] = {}
    for pattern in INCLUDES:
        for path in sorted(components.glob(pattern.format(target=target, arch=arch))):
            if path.is_dir() and path.relative_to(components).parts[0] not in ("linux", other):
                found[path] = None
    return list(found)


def flags_of(where: Trees, board: trees.Board, compiler: str, ours: list[Path]) -> list[str]:
    """`ours`: what our micropython.cmake adds to the include directories."""
    words = ["-std=gnu17", *machine_flags(board.target, compiler)]
    words += ["-DESP_PLATFORM", "-D_GNU_SOURCE", "-D_POSIX_READER_WRITER_LOCKS"]
    words += [f'-DIDF_VER="v{trees.idf_version(where.idf)}"']
    words += ["-DSOC_MMU_PAGE_SIZE=CONFIG_MMU_PAGE_SIZE", "-DSOC_XTAL_FREQ_MHZ=CONFIG_XTAL_FREQ"]
    words += ["-DMICROPY_VFS_FAT=1", "-DMICROPY_VFS_LFS2=1", *(f"-D{definition}" for definition in board.definitions)]
    words += ["-include", str(where.out / board.name / "sdkconfig.h")]
    own = [board.directory, *(path for path in ours if trees.TOP in path.parents)]
    words += [word for path in own for word in ("-I", str(path))]
    others = [where.out / board.name, where.micropython, where.micropython / "ports/esp32"]
    others += [*include_directories(where.idf, board.target), *(path for path in ours if path not in own)]
    return words + [word for path in others for word in ("-isystem", str(path))]


# ---- What MicroPython generates ----


def run(*words: str | Path, text: str | None = None) -> str:
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise TreeError(f"{' '.join(str(word) for word in words[:3])} ... failed:\n{done.stderr}")
    return done.stdout


def generate_names(micropython: Path, compile_: list[str], sources: list[Path], genhdr: Path) -> None:
    """genhdr/*.h for our C files alone, by MicroPython's own scripts and in its mkrules.cmake's steps."""
    genhdr.mkdir(parents=True, exist_ok=True)
    py = micropython / "py"
    last = genhdr / "qstr.i.last"
    last.write_text(run(*compile_, "-DNO_QSTR", "-E", *sources))
    for mode in ("qstr", "module", "root_pointer"):
        run(sys.executable, py / "makeqstrdefs.py", "split", mode, last, genhdr / mode, "_")
        run(sys.executable, py / "makeqstrdefs.py", "cat", mode, "_", genhdr / mode, genhdr / f"{mode}.collected")
    modules = run(sys.executable, py / "makemoduledefs.py", genhdr / "module.collected")
    (genhdr / "moduledefs.h").write_text(modules)
    pointers = run(sys.executable, py / "make_root_pointers.py", genhdr / "root_pointer.collected")
    (genhdr / "root_pointers.h").write_text(pointers)
    # The preprocessor must not look into Q(...).
    files = [py / "qstrdefs.h", micropython / "ports/esp32/qstrdefsport.h", genhdr / "qstr.collected"]
    quoted = re.sub(r"^(Q\(.*\))", r'"\1"', "".join(file.read_text() for file in files), flags=re.MULTILINE)
    preprocessed = run(*compile_, "-E", "-P", "-x", "c", "-", text=quoted)
    definitions = genhdr / "qstrdefs.preprocessed.h"
    definitions.write_text(re.sub(r'^"(Q\(.*\))"', r"\1", preprocessed, flags=re.MULTILINE))
    (genhdr / "qstrdefs.generated.h").write_text(run(sys.executable, py / "makeqstrdata.py", definitions))


# ---- The checks ----


def check_options(where: Trees, board: trees.Board) -> int:
    """Asks Kconfig what becomes of the board's options. How many are not what the board's files say."""
    kconfgen(where.idf, board.target, board.sdkconfig, where.out / board.name)
    found = differences(board, where.out / board.name / "sdkconfig")
    for line in found:
        print(f"{board.name}: {line}")
    own = len(own_options(board))
    print(f"{board.name}: {own - len(found)} of {own} options of its own are in force ({board.target})", flush=True)
    return len(found)


def check_sources(where: Trees, board: trees.Board) -> int:
    """Compiles all of our C files as for this board, after check_options. How many do not."""
    out = where.out / board.name
    compiler = compiler_of(board.target)
    named, directories = trees.user_module(where.idf, out / "module")
    sources = [source for source in named if source.is_file()]
    for source in set(named) - set(sources):
        print(f"{trees.USER_MODULE.name} names {source.name}, which is not there")
    compile_ = [compiler, *flags_of(where, board, compiler, directories)]
    generate_names(where.micropython, compile_, sources, out / "genhdr")
    bad = len(named) - len(sources)
    for source in sources:
        words = [*compile_, *WARNINGS, "-fsyntax-only", str(source)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            bad += 1
            print(done.stderr)
    result = f"{len(named) - bad} of {len(named)} C files compile"
    print(f"{board.name}: {result} ({Path(compiler).name}, -fsyntax-only)", flush=True)
    return bad


def check_partitions(where: Trees, board: trees.Board) -> int:
    """Has ESP-IDF make the board's partition table, for its size of flash, after check_options. 1: it does not."""
    out = where.out / board.name
    options = assignments((out / "sdkconfig").read_text())
    listing, flash = (
        options[f"CONFIG_{name}"].strip('"') for name in ("PARTITION_TABLE_FILENAME", "ESPTOOLPY_FLASHSIZE")
    )
    words = ["--quiet", "--flash-size", flash, "--offset", options["CONFIG_PARTITION_TABLE_OFFSET"]]
    try:
        make = where.idf / "components/partition_table/gen_esp32part.py"
        run(sys.executable, make, *words, where.micropython / "ports/esp32" / listing, out / "partitions.bin")
    except TreeError as error:
        print(f"{board.name}: {error}")
        return 1
    slots = firmware.read_slots((out / "partitions.bin").read_bytes())
    sizes = ", ".join(f"{slot.name} {slot.size:,}" for slot in slots)
    print(f"{board.name}: partitions for {flash} of flash; bytes for the application: {sizes}", flush=True)
    return 0 if slots else 1


def check_board(where: Trees, name: str) -> int:
    board = trees.read_board(name, where.micropython, where.out / name / "board")
    return check_options(where, board) + check_partitions(where, board) + check_sources(where, board)


def trees_of(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """ESP-IDF's tree and MicroPython's. Raises TreeError with all that is wrong with the two."""
    found, wrong = [], []
    for look, name in ((trees.idf_tree, "IDF_PATH"), (trees.micropython_tree, "MICROPYTHON_DIR")):
        try:
            found.append(look(environment[name]))
        except TreeError as error:
            wrong.append(str(error))
    if wrong:
        raise TreeError("\ncheck-idf: ".join(wrong))
    return found[0], found[1]


def main(arguments: list[str]) -> int:
    try:
        idf, micropython = trees_of(os.environ)
        if not arguments:
            return 0
        where = Trees(idf, micropython, Path(arguments[0]).resolve())
        releases = f"ESP-IDF {trees.idf_version(idf)}, MicroPython {trees.micropython_version(where.micropython)}"
        print(f"check-idf: {releases}", flush=True)
        names = trees.board_names()
        if not names:
            raise TreeError(f"there is no {trees.BOARDS}/*/{trees.BOARD_FILE}.")
        bad = sum(check_board(where, name) for name in names)
    except TreeError as error:
        print(f"check-idf: {error}", file=sys.stderr)
        return 2
    if bad:
        print(f"check-idf: {bad} findings: see above", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
