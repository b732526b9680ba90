"""Reading images: one decoder and one documented conversion for everything that looks at pixels.

The pixels are what a careful viewer shows: turned by the EXIF orientation, RGB, uint8. Sixteen-bit samples keep their
high byte unless an `Intake` says which values are black and white, floating point in [0, 1] is a share of white, grey
becomes three equal channels, an alpha channel is left out (as OpenCV and ultralytics do, so that stock and ours train
on the same colours), palettes and CMYK are converted by Pillow, and of several frames the first is read.
A truncated file, and a JPEG whose scan libjpeg warns of, is an error and never a half-grey image.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import DetectTransferError, InputError, ResourceError
from detect_transfer.core.image_size import HEAD_BYTES, plain_size_wh
from detect_transfer.core.intake import Intake, by_high_byte
from detect_transfer.core.jpeg import START, decode_jpeg
from detect_transfer.core.opening import open_regular

IMAGE_SUFFIXES = (".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MAX_PIXELS = 150_000_000
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "JPEG2000")
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
_MOST_SCALED = 2  # images of so many times the side that is wanted are decoded at a smaller scale
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error)  # what Pillow ends with

# Pillow warns of damage, which is an error here or does no harm, and of sizes, for which there is a limit of our own;
# for all threads at once, as they decode together
warnings.filterwarnings("ignore", module=r"PIL\.")


def read_rgb(path: Path, data: bytes | None = None, *, intake: Intake | None = None) -> RgbArray:
    """Decode an image to (H, W, 3) uint8 RGB, upright by its EXIF orientation.

    Args:
        path: The file.
        data: Its bytes, where they were read before.
        intake: The window of values of more than 8 bits; None keeps the high byte of whole numbers of sixteen bits,
            takes floating point in [0, 1] for shares of white, and other for 0 to 255.

    Raises:
        InputError: The file is missing, empty, not an image, truncated, or larger than `MAX_PIXELS`.
        ResourceError: The file cannot be read for a reason of the machine.
    """
    data = read_image_bytes(path) if data is None else data
    rgb = _read_jpeg(path, data) if data.startswith(START) else None
    if rgb is not None:
        return rgb
    with _open(path, io.BytesIO(data)) as image:
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
            return _to_rgb(upright, intake, str(path))
        except _BROKEN as error:
            raise _broken(path, error) from error


def read_rgb_near(path: Path, side: int, *, intake: Intake | None = None) -> tuple[RgbArray, tuple[int, int]]:
    """Decode an image for a network that sees less of it: a JPEG of twice the size or more at a smaller scale.

    What has an EXIF orientation is decoded in full, as is everything but JPEG.

    Args:
        path: The file.
        side: What the longer side of the pixels has at least, unless the image is smaller.
        intake: As for `read_rgb`.

    Returns:
        (H, W, 3) uint8 RGB, and height and width of the image itself.

    Raises:
        InputError: As for `read_rgb`.
        ResourceError: As for `read_rgb`.
    """
    data = read_image_bytes(path)
    plain = plain_size_wh(data[:HEAD_BYTES]) if data.startswith(START) else None
    if plain is not None and _MOST_SCALED * side <= max(plain) and plain[0] * plain[1] <= MAX_PIXELS:
        least_wh = (side, 0) if plain[0] >= plain[1] else (0, side)
        try:
            small = decode_jpeg(data, least_wh=least_wh)
        except ValueError as error:
            raise _broken(path, error) from error
        if small is not None:
            return small, (plain[1], plain[0])
    image = read_rgb(path, data, intake=intake)
    return image, (image.shape[0], image.shape[1])


def _read_jpeg(path: Path, data: bytes) -> RgbArray | None:
    """Decode a JPEG upright, or return None where Pillow has to."""
    orientation = 1
    plain = plain_size_wh(data[:HEAD_BYTES])
    if plain is None or plain[0] * plain[1] > MAX_PIXELS:
        with _open(path, io.BytesIO(data)) as image:  # refuses what is too large
            orientation = _orientation(image)
    try:
        rgb = decode_jpeg(data)
    except ValueError as error:
        raise _broken(path, error) from error
    if rgb is None or orientation == 1:
        return rgb
    turned = Image.fromarray(rgb)
    turned.getexif()[_ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(turned))


def pillow_to_rgb(image: Image.Image, intake: Intake | None = None) -> RgbArray:
    """Return the pixels of an image of Pillow as `read_rgb` would: (H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: Its pixels cannot be decoded.
    """
    try:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image), intake)
    except _BROKEN as error:
        what, remedy = f"its pixels cannot be decoded ({error})", "give an image that opens in a viewer"
        raise InputError("IMAGE_TRUNCATED", what, field="image", remedy=remedy) from error


def read_deep(path: Path, data: bytes) -> NDArray[Any] | None:
    """Decode an image of one channel of sixteen bits or of floating point to its values (H, W); None for any other.

    Args:
        path: The file.
        data: Its bytes.

    Raises:
        InputError: As for `read_rgb`.
        ResourceError: As for `read_rgb`.
    """
    with _open(path, io.BytesIO(data)) as image:
        if not image.mode.startswith("I") and image.mode != "F":
            return None
        try:
            image.load()
            values = np.asarray(ImageOps.exif_transpose(image))
        except _BROKEN as error:
            raise _broken(path, error) from error
    return values if values.dtype.kind == "f" else np.asarray(np.clip(values, 0, 65535), np.uint16)


def read_size_wh(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels from the header alone, as `read_rgb` would give them.

    Raises:
        InputError: As for `read_rgb`, as far as the header tells.
        ResourceError: The file cannot be read for a reason of the machine.
    """
    with _stream(path) as stream:
        plain = plain_size_wh(stream.read(HEAD_BYTES))
        if plain is not None and plain[0] * plain[1] <= MAX_PIXELS:
            return plain
        stream.seek(0)
        with _open(path, stream) as image:
            width, height = image.size
            return (height, width) if _orientation(image) in _TURNED else (width, height)


def read_image_bytes(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        InputError: The file is missing.
        ResourceError: The file cannot be read for a reason of the machine.
    """
    with _stream(path) as stream:
        return stream.read()


def read_labels(path: Path) -> NDArray[np.integer[Any]]:
    """Decode an image of one channel to its bare values (H, W): numbers of instances, or indices of a palette.

    Raises:
        InputError: As for `read_rgb`, or it has several channels.
        ResourceError: As for `read_rgb`.
    """
    with _open(path, io.BytesIO(read_image_bytes(path))) as image:
        try:
            image.load()
        except _BROKEN as error:
            raise _broken(path, error) from error
        values = np.array(image)
    values = values.astype(np.uint8) if values.dtype == np.bool_ else values
    if values.ndim != 2 or values.dtype.kind not in "ui":
        raise InputError(
            "IMAGE_TYPE",
            f"it has the mode {image.mode}, one channel of whole numbers was expected",
            where=path,
            remedy="give the mask as it was published",
        )
    return values


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (*_BROKEN, TypeError):  # a damaged EXIF block says nothing of the pixels
        return 1


def _stream(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DetectTransferError:
    if isinstance(error, FileNotFoundError):
        return InputError(
            "IMAGE_MISSING", "there is no such image", where=path, remedy="restore the file, or leave out what names it"
        )
    return ResourceError(
        "IMAGE_UNREADABLE", f"it cannot be opened: {error.strerror}", where=path, remedy="check its permissions"
    )


def _open(path: Path, stream: BinaryIO) -> Image.Image:
    Image.init()  # registers all of `_FORMATS`; after the first time this costs nothing
    try:
        image = Image.open(stream, formats=_FORMATS)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError, EOFError) as error:
        raise _broken(path, error) from error
    except OSError as error:
        if error.errno is None:  # of a decoder
            raise _broken(path, error) from error
        raise _unreadable(path, error) from error
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            "IMAGE_TOO_LARGE",
            f"{image.width} x {image.height} pixels, at most {MAX_PIXELS:,} are read",
            where=path,
            remedy="cut it into tiles or scale it down",
        )
    return image


def _broken(path: Path, error: Exception) -> DetectTransferError:
    """Tell an empty file, a file of another kind and a damaged image apart."""
    if isinstance(error, Image.DecompressionBombError):
        return InputError(
            "IMAGE_TOO_LARGE",
            f"more than {MAX_PIXELS:,} pixels",
            where=path,
            remedy="cut it into tiles or scale it down",
        )
    if path.is_file() and path.stat().st_size == 0:  # an address is none
        return InputError("IMAGE_EMPTY", "the file has no bytes", where=path, remedy="copy the image again")
    if isinstance(error, UnidentifiedImageError):
        return InputError(
            "IMAGE_TYPE",
            "its bytes are of no image format that is read here",
            where=path,
            remedy="give a JPEG, PNG, BMP, TIFF, WebP, PPM, GIF or JPEG 2000",
        )
    return InputError(
        "IMAGE_TRUNCATED", f"its pixels cannot be decoded ({error})", where=path, remedy="copy the image again"
    )


def _to_rgb(image: Image.Image, intake: Intake | None = None, name: str = "") -> RgbArray:
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_to_rgb(np.asarray(image), intake, name)
    if image.mode in ("RGBA", "RGBX", "RGBa"):
        return np.ascontiguousarray(np.asarray(image)[..., :3])
    if image.mode in ("LA", "La"):
        return _grey_to_rgb(np.asarray(image)[..., 0])
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _deep_to_rgb(values: NDArray[Any], intake: Intake | None, name: str) -> RgbArray:
    """Turn one channel (H, W) of more than 8 bits, or of floating point, into three of 8 bits."""
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite")
    return _grey_to_rgb(by_high_byte(values, name) if intake is None else intake.to_uint8(values, name))


def _grey_to_rgb(grey: NDArray[Any]) -> RgbArray:
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
