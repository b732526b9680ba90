"""JPEGs decoded with the warnings of libjpeg as errors: Pillow fills what is missing of a damaged scan with grey."""

from __future__ import annotations

import simplejpeg

from detect_transfer.core.arrays import RgbArray

START = b"\xff\xd8\xff"
_DAMAGED = ("Corrupt JPEG data", "Premature end")
_FOUR_COLOURS = ("CMYK", "YCCK")


def decode_jpeg(data: bytes, *, least_wh: tuple[int, int] = (0, 0)) -> RgbArray | None:
    """Decode a JPEG to (H, W, 3) uint8 RGB as it is stored, not turned by its EXIF orientation.

    What no decoder sees: a flipped bit that leaves a scan as long as it was, a cut between two scans of a progressive
    file, and a cut of an arithmetic-coded one.

    Args:
        data: The file.
        least_wh: Decode to the smallest size, of those that libjpeg can scale to, that has such a width and height at
            least; 0 sets no limit, and both 0 give the full size.

    Returns:
        The pixels, equal to those of Pillow; None where Pillow has to decode: four colours, which are checked here all
        the same, and kinds that libjpeg-turbo does not read.

    Raises:
        ValueError: The scan is cut or damaged.
    """
    try:
        least = {"min_width": least_wh[0], "min_height": least_wh[1]}
        colours = simplejpeg.decode_jpeg_header(data)[2]
        pixels: RgbArray = simplejpeg.decode_jpeg(data, "CMYK" if colours in _FOUR_COLOURS else "RGB", **least)
    except ValueError as error:
        if str(error).startswith(_DAMAGED):
            raise
        return None
    return None if colours in _FOUR_COLOURS else pixels
