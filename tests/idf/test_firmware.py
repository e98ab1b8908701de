"""`make firmware`: what it says when something is missing, what it asks of MicroPython's own Makefile, the room left.

ESP-IDF's part is played by an idf.py that notes its command line and lays files of given sizes; Makefile and makeimg.py
are MicroPython's.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from idf import firmware, trees

MICROPYTHON = Path(os.environ.get("MICROPYTHON_DIR", trees.TOP / "build/micropython"))
BOARD = "ESP32_C3"
SLOTS = [firmware.Slot("ota_0", 0x20000, 0x1E0000), firmware.Slot("ota_1", 0x200000, 0x1F0000)]
APP = 1_500_000
IDF_PY = """\
#!/bin/sh
echo "$@" >>"$NOTES"
while [ "$1" != -B ]; do shift; done
case "$2" in */submodules) exit 0 ;; esac
[ ! -e "$PREPARED/fails" ] || exit 1
mkdir -p "$2" && cp -r "$PREPARED/." "$2"
"""
# All that makeimg.py asks of ESP-IDF's module.
GEN_ESP32PART = """\
from types import SimpleNamespace

APP_TYPE = 0


class PartitionTable:
    @staticmethod
    def from_binary(data):
        return [
            SimpleNamespace(name="nvs", type=1, offset=0x9000, size=0x6000),
            SimpleNamespace(name="ota_0", type=0, offset=0x20000, size=0x1E0000),
        ]
"""
SDKCONFIG = """\
CONFIG_IDF_TARGET="esp32c3"
CONFIG_BOOTLOADER_OFFSET_IN_FLASH=0x0
CONFIG_PARTITION_TABLE_OFFSET=0x8000
CONFIG_ESPTOOLPY_FLASHSIZE="4MB"
"""


def entry(kind: int, slot: firmware.Slot) -> bytes:
    return firmware.PARTITION.pack(firmware.PARTITION_MAGIC, kind, 0x10, slot.offset, slot.size, slot.name.encode(), 0)


def table(slots: list[firmware.Slot]) -> bytes:
    """As ESP-IDF writes it: entries, a checksum, the rest erased."""
    nvs = entry(1, firmware.Slot("nvs", 0x9000, 0x6000))
    checksum = b"\xeb\xeb" + b"\xff" * 14 + bytes(16)
    return (nvs + b"".join(entry(0, slot) for slot in slots) + checksum).ljust(0xC00, b"\xff")


class Place:
    """A tree of MicroPython's with its real Makefile, a stand-in for ESP-IDF, and what is said and written."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.micropython, self.idf, self.prepared = top / "micropython", top / "idf", top / "prepared"
        self.notes, self.results = top / "notes", top / "speakeasy/build" / BOARD
        port = self.micropython / "ports/esp32"
        for name in (
            "ports/esp32/Makefile",
            "ports/esp32/makeimg.py",
            "ports/esp32/esp32_common.cmake",
            "py/verbose.mk",
        ):
            (self.micropython / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(MICROPYTHON / name, self.micropython / name)
        shutil.copy(MICROPYTHON / "py/mpconfig.h", self.micropython / "py")
        self.lay(self.micropython / "mpy-cross/Makefile", b"all:\n\t@echo mpy-cross >>$(NOTES)\n")
        self.lay(
            port / "boards/ESP32_GENERIC/board.json",
            b'{"mcu": "esp32", "product": "", "vendor": "", "images": [], "deploy": []}',
        )
        for name in trees.SUBMODULES:
            self.lay(self.micropython / name, b"")
        self.lay(self.idf / "components/esp_wifi/include/esp_wifi.h", b"")
        self.lay(self.idf / "components/lwip/lwip/src/include/lwip/netif.h", b"")
        self.lay(self.idf / "components/partition_table/gen_esp32part.py", GEN_ESP32PART.encode())
        release = zip(("MAJOR", "MINOR", "PATCH"), trees.pinned("ESP_IDF_RELEASE")[1:].split("."), strict=True)
        version = "\n".join(f"set(IDF_VERSION_{part} {number})" for part, number in release)
        self.lay(self.idf / "tools/cmake/version.cmake", version.encode())
        self.lay(self.idf / "bin/idf.py", IDF_PY.encode())
        (self.idf / "bin/idf.py").chmod(stat.S_IRWXU)
        self.lay(self.idf / "export.sh", b'PATH="$IDF_PATH/bin:$PATH"\n')
        self.lay(self.prepared / "sdkconfig", SDKCONFIG.encode())
        self.lay(self.prepared / "bootloader/bootloader.bin", b"B" * 20_000)
        self.lay(self.prepared / "partition_table/partition-table.bin", table(SLOTS))
        self.lay(self.prepared / "micropython.bin", b"A" * APP)
        self.lay(top / f"boards/{BOARD}/mpconfigboard.cmake", b"")
        self.lay(top / "boards/versions.mk", (trees.BOARDS / "versions.mk").read_bytes())
        monkeypatch.setattr(trees, "BOARDS", top / "boards")
        monkeypatch.setattr(trees, "TOP", top / "speakeasy")
        monkeypatch.setenv("IDF_PATH", str(self.idf))
        monkeypatch.setenv("MICROPYTHON_DIR", str(self.micropython))
        monkeypatch.setenv("NOTES", str(self.notes))
        monkeypatch.setenv("PREPARED", str(self.prepared))
        # Those that the machine lacks; they are asked for, not called.
        self.programs = top / "programs"
        for name in ("cmake", "git", "ninja"):
            self.program(name, "exit 1")
        monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{self.programs}")
        # As below a `make` that was given variables.
        monkeypatch.setenv("MAKEFLAGS", " -- BOARD=ELSE BUILD=else")

    def program(self, name: str, text: str) -> None:
        self.lay(self.programs / name, f"#!/bin/sh\n{text}\n".encode())
        (self.programs / name).chmod(stat.S_IRWXU)

    @staticmethod
    def lay(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_an_image_is_built_by_micropythons_makefile(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert firmware.main([BOARD]) == 0
    cross, submodules, build = place.notes.read_text().splitlines()
    assert cross == "mpy-cross"
    asked = f"-D MICROPY_BOARD={BOARD} -D MICROPY_BOARD_DIR={trees.BOARDS / BOARD} -DUSER_C_MODULES={trees.USER_MODULE}"
    assert submodules == f"{asked} -B {place.results}/idf/submodules -D UPDATE_SUBMODULES=1 reconfigure"
    assert build == f"{asked} -B {place.results}/idf build"
    image = (place.results / "firmware.bin").read_bytes()
    assert image[:20_000] == b"B" * 20_000
    assert image[0x8000:0x8C00] == table(SLOTS)
    assert image[0x20000:] == b"A" * APP
    assert json.loads((place.results / "flash.json").read_text()) == {
        "chip": "esp32c3",
        "flash_size": 4 * 1024 * 1024,
        "offset": 0,
        "app_size": APP,
        "slot_size": 0x1E0000,
    }
    said = capfd.readouterr().out.splitlines()
    assert said[-4:] == [
        "ESP32_C3: the application has 1,500,000 bytes",
        "  slot ota_0 at 0x20000: 1,966,080 bytes, 466,080 left (23 %)",
        "  slot ota_1 at 0x200000: 2,031,616 bytes, 531,616 left (26 %)",
        f"firmware: {place.results}/firmware.bin; next: make flash BOARD=ESP32_C3",
    ]


def test_a_variant_is_asked_for_by_name(place: Place) -> None:
    place.lay(trees.BOARDS / BOARD / "mpconfigvariant_BIG.cmake", b"")
    assert firmware.main([f"{BOARD}-BIG"]) == 0
    build = place.notes.read_text().splitlines()[-1]
    assert f"MICROPY_BOARD={BOARD} " in build
    assert "-D MICROPY_BOARD_VARIANT=BIG" in build
    assert (trees.TOP / f"build/{BOARD}-BIG/firmware.bin").is_file()


def test_one_for_qemu_is_built_by_a_micropython_that_knows_it_and_not_flashed(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    place.lay(trees.BOARDS / BOARD / "mpconfigvariant_QEMU.cmake", b"")
    for driver in (None, b"case PHY_GENERIC:"):
        if driver:
            place.lay(place.micropython / "ports/esp32/network_lan.c", driver)
        assert firmware.main(["--check", f"{BOARD}-QEMU"]) == 2
        version = trees.micropython_version(place.micropython)
        assert f"{BOARD}-QEMU needs a MicroPython later than 1.28, and this is {version}: " in capfd.readouterr().err
    place.lay(place.micropython / "ports/esp32/network_lan.c", b"case PHY_OPENETH:")
    assert firmware.main([f"{BOARD}-QEMU"]) == 0
    last = capfd.readouterr().out.splitlines()[-1]
    assert "next: boards/ESP32_C3/README.md says how to start it in QEMU" in last and "make flash" not in last


@pytest.mark.parametrize(("size", "status"), [(0x1E0000, 0), (0x1E0001, 2)])
def test_an_application_must_fit_into_the_smallest_slot(
    place: Place, capfd: pytest.CaptureFixture[str], size: int, status: int
) -> None:
    built = place.results / "idf"
    shutil.copytree(place.prepared, built)
    place.lay(built / "micropython.bin", b"A" * size)
    place.lay(built / "firmware.bin", b"image")
    if status:
        with pytest.raises(trees.TreeError, match="the application does not fit"):
            firmware.finish(BOARD, built, place.results)
        assert "slot ota_0 at 0x20000: 1,966,080 bytes, 1 TOO FEW" in capfd.readouterr().out
        assert not (place.results / "flash.json").exists()
    else:
        firmware.finish(BOARD, built, place.results)
        assert "slot ota_0 at 0x20000: 1,966,080 bytes, 0 left (0 %)" in capfd.readouterr().out
        assert json.loads((place.results / "flash.json").read_text())["app_size"] == size


def test_a_failed_build_leaves_no_image_of_an_older_one(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert firmware.main([BOARD]) == 0
    place.lay(place.prepared / "fails", b"")
    assert firmware.main([BOARD]) == 2
    assert "firmware: the build failed: see the lines above." in capfd.readouterr().err
    assert not (place.results / "flash.json").exists()
    assert not (place.results / "firmware.bin").exists()


@pytest.mark.parametrize("export", [b"return 1\n", b"true\n"])
def test_an_esp_idf_without_its_tools_says_what_to_run(
    place: Place, capfd: pytest.CaptureFixture[str], export: bytes
) -> None:
    place.lay(place.idf / "export.sh", export)
    assert firmware.main([BOARD]) == 2
    assert f"firmware: ESP-IDF's tools are not there: run {place.idf}/install.sh first." in capfd.readouterr().err
    assert not place.notes.exists()


def test_a_table_without_slots_is_said(place: Place) -> None:
    built = place.results / "idf"
    shutil.copytree(place.prepared, built)
    place.lay(built / "partition_table/partition-table.bin", table([]))
    with pytest.raises(trees.TreeError, match="no slot for an application"):
        firmware.finish(BOARD, built, place.results)


def test_other_releases_than_the_pinned_ones_are_said(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.lay(place.idf / "tools/cmake/version.cmake", b"set(IDF_VERSION_MAJOR 9)\n")
    assert firmware.main(["--check", BOARD]) == 0
    assert "this is ESP-IDF 9; what goes together is v" in capfd.readouterr().out


# ---- Something is missing ----


def run(board: str, path: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "idf.firmware", *([board] if board else [])]
    kept = {name: text for name, text in os.environ.items() if name not in ("IDF_PATH", "MICROPYTHON_DIR")}
    return subprocess.run(
        command, env={**kept, "PATH": path, **environment}, capture_output=True, text=True, check=False
    )


def listed() -> str:
    notes = {"ESP32_S3": " (recommended)", "ESP32_C3-QEMU": " (for Espressif's QEMU, not to be flashed)"}
    assert set(notes) <= set(trees.board_names())
    return ", ".join(name + notes.get(name, "") for name in trees.board_names())


@pytest.mark.parametrize(
    ("board", "said"), [("ESP33", "there is no board ESP33"), ("", "which board? Name it with BOARD=...")]
)
def test_no_board_and_an_unknown_one_list_the_boards(board: str, said: str) -> None:
    done = run(board, os.environ["PATH"])
    assert done.returncode == 2
    assert f"  {said}; there are: {listed()}\n" in done.stderr


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without anything; a directory for its programs."""
    monkeypatch.setattr(trees, "board_names", lambda: [BOARD])
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("IDF_PATH", "MICROPYTHON_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_in_three_lines_it_says_all_that_is_to_be_installed(nothing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert firmware.main([BOARD]) == 2
    head, micropython, docker, idf = capfd.readouterr().err.splitlines()
    assert head == "firmware: this is missing:"
    release = trees.pinned("MICROPYTHON_RELEASE")
    assert micropython.startswith(f"  MicroPython: `git clone -b {release} ")
    assert micropython.endswith(" ../micropython`, and MICROPYTHON_DIR=../micropython")
    assert docker.startswith("  Docker: `sudo apt install docker.io`, `sudo adduser $USER docker`, log out and in")
    assert f"espressif/idf:{trees.pinned('ESP_IDF_RELEASE')}" in docker
    assert idf.startswith("  or, instead of it, ESP-IDF") and f"-b {trees.pinned('ESP_IDF_RELEASE')} " in idf


DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get x"
STOPPED = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("script", "what", "said"),
    [
        (f"echo Client: >&2; echo 'ERROR: {DENIED}' >&2; echo errors pretty printing info >&2", "group docker", DENIED),
        (f"echo '{STOPPED}' >&2", "`sudo systemctl start docker`", STOPPED),
        ("echo something else >&2", "`sudo systemctl start docker`", "something else"),
        ("", "`sudo systemctl start docker`", "nothing (exit status 7)"),
    ],
)
def test_a_docker_that_does_not_serve_us_says_why_and_what_to_do(
    nothing: Path, capfd: pytest.CaptureFixture[str], script: str, what: str, said: str
) -> None:
    Place.lay(nothing / "docker", f"#!/bin/sh\n{script}\nexit 7\n".encode())
    (nothing / "docker").chmod(stat.S_IRWXU)
    assert firmware.main([BOARD]) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "Docker" in line]
    assert line.startswith("  Docker is installed, but ") and what in line and said in line
    assert ("`sudo adduser $USER docker`" in line) == (said == DENIED)
    assert ('`sudo HOME="$HOME" make firmware ...`' in line) == (said == DENIED)


def test_a_docker_that_hangs(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Place.lay(nothing / "docker", b"#!/bin/sh\nwhile :; do /bin/sleep 1; done\n")
    (nothing / "docker").chmod(stat.S_IRWXU)
    monkeypatch.setattr(firmware, "DOCKER_LIMIT_S", 0.1)
    assert "does not answer" in str(firmware.docker_trouble())


def test_a_docker_that_works_is_no_trouble(nothing: Path) -> None:
    Place.lay(nothing / "docker", b"#!/bin/sh\n")
    (nothing / "docker").chmod(stat.S_IRWXU)
    assert firmware.docker_trouble() is None


def test_what_esp_idf_needs_of_debian_is_said_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("IDF_TOOLS_PATH", str(tmp_path / "espressif"))
    assert firmware.main(["--check", BOARD]) == 2
    assert capfd.readouterr().err == "firmware: tools: `sudo apt install git gcc libc6-dev cmake ninja-build`\n"
    # Espressif's own will do.
    for name in ("cmake", "ninja"):
        (tmp_path / "espressif/tools" / name).mkdir(parents=True)
    assert firmware.main(["--check", BOARD]) == 2
    assert capfd.readouterr().err == "firmware: tools: `sudo apt install git gcc libc6-dev`\n"


@pytest.mark.parametrize("lost", [*trees.WHOLE, *trees.SUBMODULES])
def test_a_micropython_that_is_not_whole_is_refused(place: Place, capfd: pytest.CaptureFixture[str], lost: str) -> None:
    (place.micropython / lost).unlink()
    assert firmware.main(["--check", BOARD]) == 2
    said = capfd.readouterr().err
    assert said.startswith(
        f"firmware: MICROPYTHON_DIR={place.micropython} is not whole, and no git clone: it lacks {lost}."
    )
    assert "Name another: `git clone -b " in said


def test_submodules_of_a_git_clone_are_fetched_when_it_is_built(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    place.lay(place.micropython / ".git/HEAD", b"")
    for name in trees.SUBMODULES:
        (place.micropython / name).unlink()
    assert firmware.main(["--check", BOARD]) == 0
    (place.micropython / "mpy-cross/Makefile").unlink()
    assert firmware.main(["--check", BOARD]) == 2
    assert "is a git clone with files missing (`git status` there lists them): it lacks mpy-cross/Makefile" in (
        capfd.readouterr().err
    )


def test_the_source_that_the_simulated_board_is_made_of_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    debians = trees.TOP / "build/micropython"
    shutil.copytree(place.micropython, debians)
    for name in trees.SUBMODULES:
        (debians / name).unlink()
    monkeypatch.setenv("MICROPYTHON_DIR", str(debians))
    assert firmware.main(["--check", BOARD]) == 2
    assert "is Debian's source, for the simulated board: it lacks lib/micropython-lib" in capfd.readouterr().err


def test_wrong_trees_are_said_together(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MICROPYTHON_DIR", str(tmp_path / "mp"))
    monkeypatch.setenv("IDF_PATH", str(tmp_path / "idf2"))
    assert firmware.main(["--check", BOARD]) == 2
    assert capfd.readouterr().err.splitlines() == [
        "firmware: this is missing:",
        f"  MICROPYTHON_DIR={tmp_path}/mp is no MicroPython source tree with its ESP32 port: name a git clone of it.",
        f"  IDF_PATH={tmp_path}/idf2 is no ESP-IDF source tree: name the directory that has its export.sh.",
    ]


def test_a_folder_that_may_not_be_written_to(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As after a make by root. (Root, who may run this test, is refused nothing by the system itself.)"""

    def refuse(path: Path, *_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert firmware.main([BOARD]) == 2
    assert capfd.readouterr().err == (
        f"firmware: {place.results}: Permission denied. An earlier make run as root left it so: "
        f"`sudo chown -R $USER {trees.TOP}/build`, and try again.\n"
    )


def test_a_file_where_a_folder_should_be(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.lay(place.results, b"")
    assert firmware.main([BOARD]) == 2
    assert capfd.readouterr().err == f"firmware: {place.results}: File exists.\n"


# ---- In a container ----


def test_mpbuild_is_asked_for_our_board_in_espressifs_image(place: Place) -> None:
    command = firmware.container_command(place.micropython, firmware.variables(BOARD, place.results / "idf"))
    assert command.startswith("docker run --rm ")
    assert f" {firmware.image()} bash -c " in command
    # The later BOARD= is the one that counts.
    words = command[command.index("BOARD=ESP32_GENERIC") :].rstrip('"').split()
    assert words == ["BOARD=ESP32_GENERIC", *firmware.variables(BOARD, place.results / "idf")]


def test_a_container_that_would_not_see_our_files_is_not_started(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("IDF_PATH")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(place.programs))
    place.program("docker", "")
    for sudo in (False, True):
        if sudo:
            monkeypatch.setenv("SUDO_USER", "ada")
        else:
            monkeypatch.delenv("SUDO_USER", raising=False)
        assert firmware.main(["--check", BOARD]) == 2
        said = capfd.readouterr().err
        assert f"sees nothing but {tmp_path}/home: have Speakeasy in a folder of it." in said
        assert ('With sudo: `sudo HOME="$HOME" make firmware ...`.' in said) == sudo


@pytest.mark.parametrize("name", ["speak easy", "micro python"])
def test_a_container_takes_no_spaces(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.delenv("IDF_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(place.programs))
    place.program("docker", "")
    assert firmware.main(["--check", BOARD]) == 0
    if name == "speak easy":
        monkeypatch.setattr(trees, "TOP", tmp_path / name)
    else:
        shutil.move(place.micropython, tmp_path / name)
        monkeypatch.setenv("MICROPYTHON_DIR", str(tmp_path / name))
    assert firmware.main(["--check", BOARD]) == 2
    assert "no spaces in paths" in capfd.readouterr().err
