"""The label of a bridge: a drawing to be stuck on it, and a page to be printed. Both hold its setup code, a secret."""

import os
import re
import tempfile
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import segno

from speakeasy import codes, links
from speakeasy.errors import SpeakeasyError

BRIDGE_ID_BYTES = 8
QUIET_ZONE = 4  # modules, as ISO/IEC 18004 asks for

# The drawing, in millimetres: common address labels are no smaller.
WIDTH, HEIGHT = 70, 32
_FONT = "font-family='DejaVu Sans Mono,Menlo,Consolas,monospace'"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="robots" content="noindex">
<title>Speakeasy bridge {bridge}</title>
<style>
body {{ font: 12pt/1.4 sans-serif; max-width: 170mm; margin: 15mm auto; color: #000; background: #fff }}
svg {{ border: 0.3mm dashed #888 }}
code {{ font-size: 14pt; white-space: nowrap }}
</style>
</head>
<body>
<h1>Speakeasy bridge {bridge}</h1>
{drawing}
<p>Setup code: <code>{code}</code></p>
<ol>
<li>Cut out the label, and stick it where strangers do not see it: on the bridge's underside.</li>
<li>Give the bridge power.</li>
<li>{pair} The first to pair owns the bridge.</li>
<li>Keep this page, and the files that it was made from, as you keep a key; or destroy them.</li>
</ol>
</body>
</html>
"""

_BY_COMMAND = "run <b>speakeasy pair</b>, and type the setup code, or paste what the QR code says."
_BY_PAGE = (
    "scan the QR code with a phone's camera: it opens the phone page at {page}. That needs a browser with Bluetooth: "
    "Chrome or Edge; on an iPhone or iPad, Bluefy, where the setup code can be typed as well. Or, on a computer, "
)


@dataclass(frozen=True)
class Label:
    """What is on it: bridge id (8 bytes) and setup code (16 bytes, secret). `phone_page`: the one that its QR code
    opens (links.check_page); without it the QR code is for `speakeasy pair` alone."""

    bridge: bytes
    setup_code: bytes = field(repr=False)
    phone_page: str = ""

    @property
    def code(self) -> str:
        """The setup code in its text form."""
        return codes.write(self.setup_code)

    @property
    def link(self) -> str:
        """What the QR code says: the link that `speakeasy pair` takes, and the phone page, where there is one."""
        return links.write(links.CODE, self.code, self.phone_page)

    def _what_to_do(self) -> list[str]:
        # At most 32 characters each.
        return [
            *(["power it, then scan the picture"] if self.phone_page else []),
            "or run: speakeasy pair" if self.phone_page else "power it, then: speakeasy pair",
            "Keep this as you keep a key.",
        ]

    def svg(self) -> str:
        """The drawing: QR code, bridge id, setup code in groups, and what to do."""
        qr = segno.make_qr(self.link, error="m")
        # One subpath a dark run; modules are squares of 1 in the inner drawing's units.
        runs = "".join(
            f"M{found.start()} {y}h{len(found[0])}v1h-{len(found[0])}z"
            for y, row in enumerate(qr.matrix_iter(border=QUIET_ZONE))
            for found in re.finditer("1+", "".join("1" if module else "0" for module in row))
        )
        size = qr.symbol_size(border=QUIET_ZONE)[0]
        groups = self.code.split("-")
        words = [
            (6, 4.2, "bold", "Speakeasy"),
            (10.5, 2.5, "normal", f"bridge {self.bridge.hex()}"),
            (16, 3.2, "bold", "-".join(groups[:3]) + "-"),
            (20.5, 3.2, "bold", "-".join(groups[3:])),
            *((28.5 - 2.6 * up, 1.9, "normal", line) for up, line in enumerate(reversed(self._what_to_do()))),
        ]
        text = "".join(
            f"<text x='33' y='{y}' font-size='{height}' font-weight='{weight}' {_FONT}>{escape(line)}</text>\n"
            for y, height, weight, line in words
        )
        return (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}mm' height='{HEIGHT}mm' "
            f"viewBox='0 0 {WIDTH} {HEIGHT}'>\n"
            f"<title>Speakeasy bridge {self.bridge.hex()}</title>\n"
            f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>\n"
            f"<svg x='0' y='0' width='{HEIGHT}' height='{HEIGHT}' viewBox='0 0 {size} {size}' "
            f"shape-rendering='crispEdges'><path d='{runs}'/></svg>\n{text}</svg>\n"
        )

    def page(self) -> str:
        """The page to be printed: one file, which loads nothing from anywhere."""
        pair = "Near it, " + (_BY_PAGE.format(page=escape(self.phone_page)) if self.phone_page else "") + _BY_COMMAND
        return _PAGE.format(bridge=self.bridge.hex(), code=escape(self.code), drawing=self.svg(), pair=pair)

    def write(self, directory: Path) -> tuple[Path, Path]:
        """Write the drawing and the page, readable for us alone; their paths. Raises SpeakeasyError."""
        stem = f"label-{self.bridge.hex()}"
        drawing, page = directory / f"{stem}.svg", directory / f"{stem}.html"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for path, content in ((drawing, self.svg()), (page, self.page())):
                _write_secretly(path, content)
        except OSError as error:
            raise SpeakeasyError(
                f"The label could not be written to {directory} ({error.strerror}). The bridge keeps its setup code: "
                "run `make label OUT=DIRECTORY` with one that you may write to."
            ) from None
        return drawing, page


def _write_secretly(path: Path, content: str) -> None:
    # A new file, which mkstemp makes with mode 0600, in place of whatever stood there.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".label-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
