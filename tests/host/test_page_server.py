"""`speakeasy page`: the files of one folder, to this machine alone, and nothing else to anybody."""

import asyncio
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from speakeasy import page_server
from speakeasy.errors import CTRL_C, FAILED, SpeakeasyError, UsageError

FILES = {
    "index.html": b"<!doctype html><title>the page</title>",
    "worker.js": b"// worker",
    "app.webmanifest": b"{}",
    "icon.svg": b"<svg/>",
    "icon.png": b"\x89PNG",
    "assets/main-1a2b3c.js": b"main()",
    "assets/main-1a2b3c.css": b"main{}",
    "boards/image.bin": bytes(range(256)) * 64,
}
TYPES = {
    "index.html": "text/html; charset=utf-8",
    "worker.js": "text/javascript; charset=utf-8",
    "app.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
    "icon.png": "image/png",
    "assets/main-1a2b3c.js": "text/javascript; charset=utf-8",
    "assets/main-1a2b3c.css": "text/css; charset=utf-8",
    "boards/image.bin": "application/octet-stream",
}
SECRET = b"somebody's secret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = tmp_path / "page"
    for name, content in FILES.items():
        (page / name).parent.mkdir(parents=True, exist_ok=True)
        (page / name).write_bytes(content)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "page-other").mkdir()
    (tmp_path / "page-other" / "secret").write_bytes(SECRET)
    (page / ".hidden").write_bytes(SECRET)
    (page / "link").symlink_to(tmp_path / "secret")
    (page / "up").symlink_to(tmp_path)
    (page / "loop").symlink_to(page / "loop")
    return page


@pytest.fixture
async def url(folder: Path) -> AsyncIterator[str]:
    async with page_server.serving(folder) as url:
        yield url


async def ask(url: str, path: str, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    """One request, its path as it is: a client of the usual kind would tidy it up."""
    port = urlsplit(url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    name = f"localhost:{port}" if host is None else host
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


async def test_each_file_with_its_type(url: str) -> None:
    for name, content in FILES.items():
        status, headers, body = await ask(url, f"/{name}")
        assert (status, body) == (200, content), name
        assert headers["content-type"] == TYPES[name]
        status, headers, body = await ask(url, f"/{name}", "HEAD")
        assert (status, body, int(headers["content-length"])) == (200, b"", len(content)), name
    assert (await ask(url, "/"))[2] == FILES["index.html"]
    assert (await ask(url, "/?utm=1"))[2] == FILES["index.html"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/assets",
        "/assets/",
        "//",
        "/.hidden",
        "/%2ehidden",
        "/../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "/%2e%2e%2fsecret",
        "/..%5csecret",
        "/assets/../../secret",
        "/assets/%2e%2e/%2e%2e/secret",
        "/../page-other/secret",
        "/link",
        "/up/secret",
        "/loop",
        "/index.html/",
        "/index.html%00",
        "/index.html%0a",
        "/%ff",
        "/" + "a" * 5000,
    ],
)
async def test_nothing_else_is_there(path: str, url: str) -> None:
    status, headers, body = await ask(url, path)
    assert status == 404
    assert SECRET not in body
    assert headers["content-security-policy"] == page_server.POLICY


async def test_nothing_by_an_absolute_path(url: str, folder: Path) -> None:
    for path in (f"/{folder.parent}/secret", f"//{folder.parent}/secret"):
        status, _, body = await ask(url, path)
        assert (status, SECRET in body) == (404, False)


# ---- firmware to be flashed from the page ----

IMAGES = {"B_S3": ("esp32s3", 8, 0), "B_ESP32": ("esp32", 4, 0x1000)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source tree with firmware in it, and boards for which none was built, or is whole."""
    source = tmp_path / "source"
    for board in (*IMAGES, "B_C3", "B_C6"):
        (source / "boards" / board).mkdir(parents=True)
        (source / "boards" / board / "mpconfigboard.cmake").touch()
    for board, (chip, megabytes, offset) in IMAGES.items():
        built = source / "build" / board
        built.mkdir(parents=True)
        (built / "firmware.bin").write_bytes(b"\xe9" + board.encode())
        (built / "flash.json").write_text(json.dumps({"chip": chip, "flash_size": megabytes << 20, "offset": offset}))
    (source / "build" / "B_C6").mkdir()
    (source / "build" / "B_C6" / "firmware.bin").write_bytes(b"\xe9")
    (source / "build" / "secret").write_bytes(SECRET)
    return source


@pytest.fixture
async def with_firmware(folder: Path, source: Path) -> AsyncIterator[str]:
    async with page_server.serving(folder, 0, source) as url:
        yield url


async def test_the_firmware_that_was_built_is_offered(with_firmware: str) -> None:
    status, headers, body = await ask(with_firmware, "/firmware/manifest.json")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers["content-security-policy"] == page_server.POLICY
    lines = json.loads(body)["firmware"]
    assert [(line["name"], line["chip"], line["flash_size"], line["file"]) for line in lines] == [
        ("B_ESP32", "esp32", 4 << 20, "B_ESP32.bin"),
        ("B_S3", "esp32s3", 8 << 20, "B_S3.bin"),
    ]
    for line in lines:
        status, headers, body = await ask(with_firmware, f"/firmware/{line['file']}")
        assert (status, headers["content-type"]) == (200, "application/octet-stream")
        assert body == b"\xe9" + line["name"].encode() and hashlib.sha256(body).hexdigest() == line["sha256"]


@pytest.mark.parametrize(
    "name", ["B_C3.bin", "B_C6.bin", "B_S3", "firmware.bin", "", "../build/secret", "%2e%2e/secret"]
)
async def test_no_other_firmware_is_there(with_firmware: str, name: str) -> None:
    status, _, body = await ask(with_firmware, f"/firmware/{name}")
    assert (status, SECRET in body) == (404, False)


async def test_where_nothing_was_built_nothing_is_offered(folder: Path, tmp_path: Path) -> None:
    async with page_server.serving(folder, 0, tmp_path) as url:
        assert json.loads((await ask(url, "/firmware/manifest.json"))[2]) == {"firmware": []}


async def test_what_the_folder_has_goes_before(with_firmware: str, folder: Path) -> None:
    (folder / "firmware").mkdir()
    (folder / "firmware" / "manifest.json").write_bytes(b"its own")
    assert (await ask(with_firmware, "/firmware/manifest.json"))[2] == b"its own"


async def test_no_other_method(url: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        status, headers, _ = await ask(url, "/", method)
        assert status == 405, method
        assert headers["x-content-type-options"] == "nosniff"


async def test_every_answer_is_guarded(url: str) -> None:
    for path in ("/", "/worker.js", "/assets/main-1a2b3c.js", "/nothing"):
        _, headers, _ = await ask(url, path)
        assert {name: headers.get(name.lower()) for name in page_server.HEADERS} == page_server.HEADERS


def test_the_policy_is_the_pages_own() -> None:
    config = (Path(__file__).parents[2] / "host_tools/phone_page/vite.config.ts").read_text()
    told = re.search(r"CONTENT_SECURITY_POLICY = \[(.*?)\]", config, re.DOTALL)
    assert told
    own = re.findall(r'"(.*?)"', told[1])
    assert len(own) >= 8
    # Only a header can forbid to be framed.
    assert page_server.POLICY.split("; ") == [*own, "frame-ancestors 'none'"]


def test_the_readme_has_the_headers_that_others_should_send() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    block = re.search(r"^```\n(Content-Security-Policy: .*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert block
    told = dict(line.split(": ", 1) for line in block[1].splitlines())
    # The page brings the rest of its policy along.
    assert told == page_server.HEADERS | {"Content-Security-Policy": page_server.POLICY.split("; ")[-1]}


async def test_under_its_own_name_only(url: str) -> None:
    port = urlsplit(url).port
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST", "localhost:9000", f"[::1]:{port}"):
        assert (await ask(url, "/", host=host))[0] == 200, host
    for host in ("evil.example", f"localhost.evil.example:{port}", f"localhost:{port}@evil.example", ""):
        status, _, body = await ask(url, "/", host=host)
        assert (status, FILES["index.html"] in body) == (421, False), host


async def test_to_this_machine_alone(url: str) -> None:
    port = urlsplit(url).port
    mine = [c.laddr for c in psutil.Process().net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert [ip for ip, at in mine if at == port] == ["127.0.0.1"]


async def test_a_new_build_shows_at_once(url: str, folder: Path) -> None:
    (folder / "index.html").write_bytes(b"a longer one, which was built since")
    assert (await ask(url, "/"))[2] == b"a longer one, which was built since"


async def test_a_port_that_is_taken(url: str, folder: Path) -> None:
    with pytest.raises(SpeakeasyError, match=r"is taken by another program.*--port NUMBER"):
        async with page_server.serving(folder, urlsplit(url).port or 0):
            pass


async def test_a_page_that_was_not_built(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SpeakeasyError, match=r"was not built\. `make page` builds it"):
            async with page_server.serving(folder):
                pass


@pytest.mark.parametrize("port", [-1, 65536])
async def test_no_port(port: int, folder: Path) -> None:
    with pytest.raises(UsageError, match="is no port"):
        async with page_server.serving(folder, port):
            pass


COMMAND = [sys.executable, "-m", "speakeasy.cli", "page"]


def test_the_command_serves_until_ctrl_c(folder: Path) -> None:
    argv = [*COMMAND, "--port", "0", "--folder", str(folder), "--json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        # Browsers know by themselves who localhost is; a machine need not.
        with urllib.request.urlopen(url.replace("localhost", "127.0.0.1"), timeout=30) as answer:
            assert answer.read() == FILES["index.html"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (CTRL_C, "")
    finally:
        process.kill()


def test_the_command_says_what_is_in_its_way(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, says in (
            (["--folder", str(folder), "--port", port], f"Port {port} is taken"),
            (["--folder", str(tmp_path), "--port", "0"], "`make page` builds it"),
        ):
            done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stdout) == (FAILED, "")
            assert done.stderr.startswith("error: ") and says in done.stderr
            assert done.stderr.count("\n") == 1
