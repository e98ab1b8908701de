"""The label: what a camera sees on it is what `speakeasy pair` takes; nobody else may read its files."""

import hashlib
import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from qr_reader import seen
from speakeasy import codes, links
from speakeasy.board.label import BRIDGE_ID_BYTES, Label
from speakeasy.errors import SpeakeasyError
from speakeasy.session import MODE_SETUP_CODE

BRIDGE = bytes.fromhex("b0b1b2b3b4b5b6b7")


def label(name: str = "first") -> Label:
    return Label(BRIDGE, hashlib.sha256(name.encode()).digest()[:16])


def code_with(check: str) -> bytes:
    """A setup code whose text ends with that check symbol."""
    return next(data for n in range(5000) if codes.write(data := hashlib.sha256(b"%d" % n).digest()[:16])[-1] == check)


@pytest.mark.parametrize(
    "code",
    [bytes(16), b"\xff" * 16, *(code_with(check) for check in codes.CHECK_ALPHABET)],
    ids=lambda code: codes.write(code)[-1],
)
def test_a_camera_sees_what_pair_takes(code: bytes) -> None:
    one = Label(BRIDGE, code)
    (text,) = seen(one.svg())
    assert text == one.link == f"speakeasy:#code={codes.write(code)}"
    credential = links.credential(text)
    assert (credential.mode, credential.secret) == (MODE_SETUP_CODE, code)


def test_a_poor_camera_reads_it_too() -> None:
    assert seen(label().svg(), dots_per_mm=3) == [label().link]


LONGEST_PAGE = "https://x/" + "y" * (links.LONGEST_PAGE - 10)


@pytest.mark.parametrize(("page", "dots_per_mm"), [("https://page.example/speakeasy/", 4), (LONGEST_PAGE, 6)])
def test_a_phones_camera_opens_the_page_and_pair_takes_the_link_too(page: str, dots_per_mm: int) -> None:
    one = Label(BRIDGE, label().setup_code, links.check_page(page))
    assert seen(one.svg(), dots_per_mm=dots_per_mm) == [f"{page}#code={one.code}"]
    assert links.credential(one.link).secret == one.setup_code
    # The words say what a scan does; none goes over the label's edge, as near as one can say (a letter is 0.6 high).
    drawn = [(node.text or "", node) for node in ET.fromstring(one.svg()).iter() if node.tag.endswith("}text")]
    assert {"power it, then scan the picture", "or run: speakeasy pair", "Keep this as you keep a key."} < {
        text for text, _ in drawn
    }
    for text, node in drawn:
        assert float(node.get("x", "")) + 0.602 * float(node.get("font-size", "")) * len(text) < 70, text
    read = Page(one.page())
    assert read.outside == []
    assert f"opens the phone page at {page}" in read.words and "run speakeasy pair" in read.words
    assert "phone page" not in Page(label().page()).words


def test_around_the_picture_is_room() -> None:
    """Four modules of light (ISO/IEC 18004), of which there are 17 + 4 for each version."""
    (inner,) = (node for node in ET.fromstring(label().svg()).iter() if node.get("shape-rendering"))
    size = int(inner.get("viewBox", "").split()[2])
    (path,) = inner
    dark = [[int(number) for number in found] for found in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d", ""))]
    assert min(x for x, _, _ in dark) == min(y for _, y, _ in dark) == 4
    assert max(x + width for x, _, width in dark) == max(y + 1 for _, y, _ in dark) == size - 4
    assert (size - 8 - 17) % 4 == 0


def test_the_code_is_there_to_be_typed() -> None:
    texts = [node.text or "" for node in ET.fromstring(label().svg()).iter() if node.tag.endswith("}text")]
    assert codes.read_setup_code("".join(line for line in texts if re.fullmatch(r"[0-9A-Z*~$=-]{14,}", line))) == (
        label().setup_code
    )
    assert f"bridge {BRIDGE.hex()}" in texts and any("speakeasy pair" in line for line in texts)


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.words = ""
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "action", "xlink:href")]
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""
        self.outside += [tag] * (tag in ("script", "link", "iframe", "img", "object", "base"))

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_has_the_same_drawing_and_loads_nothing() -> None:
    page = label().page()
    assert page.count("<svg xmlns") == 1
    drawing = page[page.index("<svg xmlns") : page.rindex("</svg>") + len("</svg>")]
    assert seen(drawing) == [label().link]
    read = Page(page)
    assert read.outside == []
    assert "default-src 'none'" in read.policy
    assert label().code in read.words and BRIDGE.hex() in read.words and "speakeasy pair" in read.words
    assert "url(" not in page and "@import" not in page


def test_the_files_are_for_us_alone_whatever_stood_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    out = tmp_path / "new" / "labels"
    for again in (False, True):
        if again:
            (out / f"label-{BRIDGE.hex()}.svg").chmod(0o644)
            (out / f"label-{BRIDGE.hex()}.html").unlink()
            (out / f"label-{BRIDGE.hex()}.html").symlink_to(elsewhere)
        drawing, page = label().write(out)
        assert (drawing.name, page.name) == (f"label-{BRIDGE.hex()}.svg", f"label-{BRIDGE.hex()}.html")
        assert sorted(path.name for path in out.iterdir()) == [page.name, drawing.name]
        for path, content in ((drawing, label().svg()), (page, label().page())):
            assert not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.read_text() == content
    assert elsewhere.read_text() == "not ours"


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpeakeasyError, match=r"could not be written.*make label OUT=") as caught:
        label().write(tmp_path / "file")
    assert label().code not in str(caught.value)


def test_what_is_printed_of_it_holds_no_code() -> None:
    assert label().setup_code.hex() not in repr(label()) and label().code not in repr(label())
    assert repr(label().setup_code) not in repr(label())


def test_two_bridges_have_two_labels() -> None:
    assert label("first").svg() != label("second").svg()
    assert len(BRIDGE) == BRIDGE_ID_BYTES
