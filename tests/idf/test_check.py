"""`make check-idf`: what it says without trees or with wrong ones; options, through Espressif's real kconfgen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from idf import check, trees

# As ESP-IDF's own tree is laid out, with one component that has one option of each kind that matters here.
IDF = {
    "Kconfig": """\
mainmenu "Tiny"
config IDF_TARGET
    string
    default "$IDF_TARGET"
config IDF_TARGET_ESP32C3
    bool
    default y if IDF_TARGET="esp32c3"
config IDF_TARGET_ESP32S3
    bool
    default y if IDF_TARGET="esp32s3"
source "$COMPONENT_KCONFIGS_SOURCE_FILE"
source "$COMPONENT_KCONFIGS_PROJBUILD_SOURCE_FILE"
""",
    "sdkconfig.rename": "",
    "components/radio/Kconfig": """\
menu "Radio"
config RADIO_BUFFERS
    int "Buffers"
    range 2 64
    default 10
config RADIO_FAST
    bool "Faster, on one chip only"
    depends on IDF_TARGET_ESP32S3
config RADIO_NEW_NAME
    bool "It was called otherwise"
    default n
config RADIO_ADDRESS
    hex "Address"
    default 0x10
config RADIO_NAME
    string "Name"
    default ""
endmenu
""",
    "components/radio/sdkconfig.rename": "CONFIG_RADIO_OLD_NAME CONFIG_RADIO_NEW_NAME\n",
    "components/esp_wifi/include/esp_wifi.h": "",
    "components/lwip/lwip/src/include/lwip/netif.h": "",
    "tools/cmake/version.cmake": "set(IDF_VERSION_MAJOR 5)\nset(IDF_VERSION_MINOR 5)\nset(IDF_VERSION_PATCH 1)\n",
}
MICROPYTHON = {
    "ports/esp32/esp32_common.cmake": "",
    "ports/esp32/boards/sdkconfig.base": "CONFIG_RADIO_BUFFERS=12\nCONFIG_NOT_OURS=y\n",
    "py/mpconfig.h": "".join(
        f"#define MICROPY_VERSION_{part} {number}\n" for part, number in (("MAJOR", 1), ("MINOR", 27), ("MICRO", 0))
    ),
}
BOARD = """\
set(IDF_TARGET esp32c3)
set(SDKCONFIG_DEFAULTS boards/sdkconfig.base ${MICROPY_BOARD_DIR}/sdkconfig.board)
"""


def lay(files: dict[str, str], top: Path) -> Path:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


@pytest.fixture
def where(tmp_path: Path) -> check.Trees:
    return check.Trees(lay(IDF, tmp_path / "idf"), lay(MICROPYTHON, tmp_path / "micropython"), tmp_path / "out")


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(trees, "BOARDS", tmp_path / "boards")
    return tmp_path / "boards"


def run_check(out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "idf.check", str(out)]
    return subprocess.run(command, env=os.environ | environment, cwd=out, capture_output=True, text=True, check=False)


def test_without_trees_the_target_is_skipped_and_says_why() -> None:
    # Those of a make above this test, too: they have the variables that it was given.
    hidden = ("IDF_PATH", "MICROPYTHON_DIR", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    environment = {name: text for name, text in os.environ.items() if name not in hidden}
    done = subprocess.run(
        ["make", "check-idf"], cwd=trees.TOP, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith(
        "check-idf: skipped: it needs IDF_PATH=... and MICROPYTHON_DIR=..., checkouts of ESP-IDF v"
    )
    assert len(done.stdout.splitlines()) == 1


def test_a_wrong_idf_path_says_what_to_name(tmp_path: Path) -> None:
    done = run_check(tmp_path, IDF_PATH=str(tmp_path / "nowhere"), MICROPYTHON_DIR=str(tmp_path))
    assert done.returncode == 2
    wrong = f"IDF_PATH={tmp_path / 'nowhere'} is no ESP-IDF source tree"
    assert done.stderr.splitlines()[0] == f"check-idf: {wrong}: name the directory that has its export.sh."


def test_both_trees_are_looked_at_before_anything_is_installed(tmp_path: Path) -> None:
    """By `make`: neither its packages nor its Python come before what is said of the paths."""
    hidden = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    environment = {name: text for name, text in os.environ.items() if name not in hidden}
    words = ["make", "check-idf", f"IDF_PATH={tmp_path}/a", f"MICROPYTHON_DIR={tmp_path}/b", "BIN=no-such"]
    done = subprocess.run(words, cwd=trees.TOP, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    first, second, *_ = done.stderr.splitlines()
    assert first.startswith(f"check-idf: IDF_PATH={tmp_path}/a is no ESP-IDF source tree")
    assert second.startswith(f"check-idf: MICROPYTHON_DIR={tmp_path}/b is no MicroPython source tree")


def test_an_idf_without_its_submodules_says_how_to_get_them(tmp_path: Path) -> None:
    tree = lay({name: text for name, text in IDF.items() if "lwip" not in name}, tmp_path / "idf")
    done = run_check(tmp_path, IDF_PATH=str(tree), MICROPYTHON_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "lwip is empty: run `git submodule update --init --recursive` in" in done.stderr


def test_a_wrong_micropython_dir_says_what_to_name(tmp_path: Path, where: check.Trees) -> None:
    done = run_check(tmp_path, IDF_PATH=str(where.idf), MICROPYTHON_DIR=str(tmp_path))
    assert done.returncode == 2
    assert f"MICROPYTHON_DIR={tmp_path} is no MicroPython source tree with its ESP32 port" in done.stderr


def lay_board(boards: Path, own: str) -> None:
    lay({"X/mpconfigboard.cmake": BOARD, "X/sdkconfig.board": own}, boards)


def options(where: check.Trees, name: str = "X") -> int:
    return check.check_options(where, trees.read_board(name, where.micropython, where.out / name / "board"))


def test_options_that_kconfig_takes_are_in_force(
    where: check.Trees, boards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Numbers may be written otherwise; what this chip lacks may be switched off; MicroPython's own are not looked at.
    own = "CONFIG_RADIO_BUFFERS=64\nCONFIG_RADIO_ADDRESS=16\nCONFIG_RADIO_FAST=n\n"
    own += '# CONFIG_RADIO_NEW_NAME is not set\nCONFIG_RADIO_NAME="a b"\n'
    lay_board(boards, own)
    assert options(where) == 0
    assert capsys.readouterr().out == "X: 5 of 5 options of its own are in force (esp32c3)\n"
    assert 'CONFIG_RADIO_NAME="a b"' in (where.out / "X/sdkconfig").read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CONFIG_RADIO_BUFERS=3", "sdkconfig.board: CONFIG_RADIO_BUFERS=3: esp32c3 has no such option"),
        ("CONFIG_RADIO_BUFFERS=65", "sdkconfig.board: CONFIG_RADIO_BUFFERS=65: it became 10"),
        ("CONFIG_RADIO_FAST=y", "sdkconfig.board: CONFIG_RADIO_FAST=y: esp32c3 has no such option"),
        ("CONFIG_RADIO_ADDRESS=0xzz", "sdkconfig.board: CONFIG_RADIO_ADDRESS=0xzz: it became 0x10"),
    ],
)
def test_options_that_kconfig_does_not_take_are_found(
    where: check.Trees, boards: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    lay_board(boards, f"CONFIG_RADIO_NEW_NAME=y\n{line}\n")
    assert options(where) == 1
    assert capsys.readouterr().out == f"X: {said}\nX: 1 of 2 options of its own are in force (esp32c3)\n"


def test_the_later_of_a_boards_files_counts(
    where: check.Trees, boards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_board(boards, "CONFIG_RADIO_BUFFERS=3\n")
    lay(
        {
            "X/mpconfigboard.cmake": BOARD.replace(
                "sdkconfig.board)", "sdkconfig.board ${MICROPY_BOARD_DIR}/../common)"
            ),
            "common": "CONFIG_RADIO_BUFFERS=4\n",
        },
        boards,
    )
    assert options(where) == 0
    assert capsys.readouterr().out == "X: 1 of 1 options of its own are in force (esp32c3)\n"


def test_a_name_that_esp_idf_has_changed_is_taken(where: check.Trees, boards: Path) -> None:
    lay_board(boards, "CONFIG_RADIO_OLD_NAME=y\n")
    assert options(where) == 0
    assert "CONFIG_RADIO_NEW_NAME=y" in (where.out / "X/sdkconfig").read_text()


def test_a_board_that_cmake_cannot_read_is_an_error(where: check.Trees, boards: Path) -> None:
    lay({"X/mpconfigboard.cmake": "set(IDF_TARGET"}, boards)
    with pytest.raises(trees.TreeError, match="CMake cannot read our files"):
        options(where)


def test_a_variant_is_a_board_of_its_own(where: check.Trees, boards: Path) -> None:
    lay_board(boards, "CONFIG_RADIO_BUFFERS=3\n")
    more = (
        'list(APPEND SDKCONFIG_DEFAULTS ${MICROPY_BOARD_DIR}/more)\nlist(APPEND MICROPY_DEF_BOARD SIZE=3 NAME="a b")\n'
    )
    lay({"X/mpconfigvariant_BIG.cmake": more, "X/more": "CONFIG_RADIO_BUFFERS=4\n", "SIM/manifest.py": ""}, boards)
    assert trees.board_names() == ["X", "X-BIG"]
    assert options(where, "X-BIG") == 0
    assert "CONFIG_RADIO_BUFFERS=4\n" in (where.out / "X-BIG/sdkconfig").read_text()
    big = trees.read_board("X-BIG", where.micropython, where.out / "board")
    assert big.definitions == ("SIZE=3", 'NAME="a b"')
    assert [file.name for file in big.sdkconfig] == ["sdkconfig.base", "sdkconfig.board", "more"]


def test_the_user_module_names_every_file_of_the_core(tmp_path: Path) -> None:
    sources, directories = trees.user_module(tmp_path, tmp_path / "module")
    own = trees.USER_MODULE.parent / "pktfilter"
    assert {path.name for path in sources} >= {path.name for path in own.glob("pf*.c")} | {
        "modpktfilter.c",
        "glue_lwip.c",
        "modeap.c",
    }
    assert own in directories
