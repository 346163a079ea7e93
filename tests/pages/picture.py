"""Pixels of a screenshot."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Picture:
    """The pixels of a PNG file with 8 bits per channel and no interlacing."""

    def __init__(self, png):
        if not png.startswith(SIGNATURE):
            raise AssertionError("not a PNG file")
        data, at = b"", len(SIGNATURE)
        while at < len(png):
            length, kind = struct.unpack(">I4s", png[at:at + 8])
            content = png[at + 8:at + 8 + length]
            if kind == b"IHDR":
                self.width, self.height, depth, colour, _, _, laced = struct.unpack(
                    ">IIBBBBB", content)
                if depth != 8 or colour not in (2, 6) or laced:
                    raise AssertionError("unsupported kind of PNG file")
                self.channels = 3 if colour == 2 else 4
            elif kind == b"IDAT":
                data += content
            at += length + 12
        self.rows = list(self._rows(zlib.decompress(data)))

    def colours(self):
        """The number of pixels of each colour."""
        counts = {}
        for row in self.rows:
            for at in range(0, len(row), self.channels):
                colour = bytes(row[at:at + 3])
                counts[colour] = counts.get(colour, 0) + 1
        return counts

    def _rows(self, data):
        """Reverses the filter of each row (RFC 2083 section 6)."""
        size, step = self.width * self.channels, self.channels
        before = bytearray(size)
        for start in range(0, len(data), size + 1):
            kind, row = data[start], bytearray(data[start + 1:start + 1 + size])
            for at in range(size):
                left = row[at - step] if at >= step else 0
                above = before[at]
                corner = before[at - step] if at >= step else 0
                row[at] = (row[at] + _guess(kind, left, above, corner)) & 0xFF
            before = row
            yield row


def _guess(kind, left, above, corner):
    if kind == 0:
        return 0
    if kind == 1:
        return left
    if kind == 2:
        return above
    if kind == 3:
        return (left + above) // 2
    estimate = left + above - corner
    return min((left, above, corner), key=lambda other: abs(estimate - other))
