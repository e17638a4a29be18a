"""What somebody's phone reads of a QR code: a reader that shares no code with what draws them."""

import cv2
import numpy
import zxingcpp


def read_qr_code(picture: bytes) -> str:
    """The text of the only code in a picture file; empty where there is none that can be read."""
    pixels = cv2.imdecode(numpy.frombuffer(picture, dtype=numpy.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    found = zxingcpp.read_barcode(pixels)
    return found.text if found is not None and found.format == zxingcpp.BarcodeFormat.QRCode else ""
