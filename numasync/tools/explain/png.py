"""A picture as a PNG file, in the few lines that this takes.

Source: W3C, Portable Network Graphics (PNG) Specification, chapters 5 and 11.
"""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BITS, TRUECOLOUR = 8, 2


def as_png(pixels: np.ndarray) -> bytes:
    """Return a picture, uint8 (height, width, 3), as the content of a PNG file."""
    height, width = pixels.shape[:2]
    # A row begins with the number of its filter. 0 is none.
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, BITS, TRUECOLOUR, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    return SIGNATURE + body


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk: its length, kind, content and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
