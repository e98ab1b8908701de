"""A camera's view of a drawing: rasterised by resvg, read by ZXing, neither of which has made it."""

import io

import resvg_py
import zxingcpp
from PIL import Image


def seen(svg: str, *, dots_per_mm: float = 12.0) -> list[str]:
    """What the QR codes in the drawing say; 12 dots a millimetre are 300 dpi, those of a printer."""
    png = resvg_py.svg_to_bytes(svg_string=svg, dpi=dots_per_mm * 25.4, background="white")
    image = Image.open(io.BytesIO(png)).convert("L")
    return [barcode.text for barcode in zxingcpp.read_barcodes(image)]
