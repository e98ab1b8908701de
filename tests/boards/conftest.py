"""The ESP32 boards as MicroPython's own build reads them: its CMakeLists.txt runs to where ESP-IDF takes over."""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
BOARDS = TOP / "boards"
MICROPYTHON = Path(os.environ.get("MICROPYTHON_DIR", TOP / "build/micropython")).resolve()
PORT = MICROPYTHON / "ports/esp32"
LIBRARY = MICROPYTHON / "lib/micropython-lib"
# Python's bytecode caches would land in MicroPython's tree.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

NAMES = sorted(path.parent.name for path in BOARDS.glob("*/mpconfigboard.cmake"))
BUILDS = [(name, "") for name in NAMES] + sorted(
    (path.parent.name, path.stem.removeprefix("mpconfigvariant_")) for path in BOARDS.glob("*/mpconfigvariant_*.cmake")
)
VARIABLES = ("IDF_TARGET", "SDKCONFIG_DEFAULTS", "MICROPY_FROZEN_MANIFEST", "MICROPY_DEF_BOARD", "USER_C_MODULES")

# In the place of ESP-IDF's file of this name: it writes down what the board has set, and goes no further.
PROJECT_CMAKE = f"""
function(idf_build_set_property)
endfunction()
macro(project name)
    _project(${{name}} NONE)
    foreach(variable {" ".join(VARIABLES)})
        file(APPEND ${{CMAKE_BINARY_DIR}}/board.txt "${{variable}}=${{${{variable}}}}\\n")
    endforeach()
endmacro()
"""


@dataclass(frozen=True)
class Build:
    """What a board, or a variant of it, says to MicroPython's build."""

    name: str
    directory: Path
    chip: str
    variant: str
    sdkconfig: str  # all files of ESP-IDF's options, one behind the other
    options: dict[str, str]  # of ESP-IDF; the last one of a name counts
    manifest: Path
    defines: dict[str, str]
    modules: str


def options(text: str) -> dict[str, str]:
    """What a sdkconfig file sets."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            match = re.fullmatch(r'CONFIG_([A-Z0-9_]+)=(y|n||-?\d+|0x[0-9a-fA-F]+|"[^"]*")', line.rstrip())
            assert match, f"no option of ESP-IDF: {line}"
            found[match[1]] = match[2]
    return found


@cache
def read(name: str, variant: str, scratch: Path) -> Build:
    idf = scratch / "idf"
    (idf / "tools/cmake").mkdir(parents=True)
    (idf / "tools/cmake/project.cmake").write_text(PROJECT_CMAKE)
    out = scratch / "out"
    command = ["cmake", "-S", PORT, "-B", out, f"-DMICROPY_BOARD={name}", f"-DMICROPY_BOARD_DIR={BOARDS / name}"]
    command += [f"-DMICROPY_BOARD_VARIANT={variant}"] if variant else []
    done = subprocess.run(command, env={**ENVIRONMENT, "IDF_PATH": str(idf)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.split("=", 1) for line in (out / "board.txt").read_text().splitlines())
    assert set(said) == set(VARIABLES)
    sdkconfig = Path(said["SDKCONFIG_DEFAULTS"]).read_text()
    return Build(
        name=name,
        variant=variant,
        sdkconfig=sdkconfig,
        directory=BOARDS / name,
        chip=said["IDF_TARGET"],
        options=options(sdkconfig),
        manifest=Path(said["MICROPY_FROZEN_MANIFEST"]),
        defines=dict(define.split("=", 1) for define in said["MICROPY_DEF_BOARD"].split(";") if define),
        modules=said["USER_C_MODULES"],
    )


@pytest.fixture(scope="session", params=BUILDS, ids=lambda build: "-".join(part for part in build if part))
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    name, variant = request.param
    return read(name, variant, tmp_path_factory.mktemp(name))
