"""Detections of a stream of images, one image after the other: what is held does not grow with their number.

Images are read by threads while the network runs. Those of one shape share a batch; they leave in the order in which
they came. An image that cannot be read leaves with what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from detect_transfer.config import Evaluate
from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.image_sources import SourceImage
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.prefetch import prefetched
from detect_transfer.core.tiles import Tiling
from detect_transfer.models.base import Prediction, Predictor
from detect_transfer.models.device import Precision
from detect_transfer.models.predict import FittedImage, evaluating, fit_image, in_image, postprocess_of, run_batch
from detect_transfer.models.tile_merging import merge_tiles

_Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class StreamOptions:
    """How a detector is run over a stream.

    Args:
        imgsz: The side that images, or tiles, are scaled to, or height and width.
        settings: Score floor, suppression, caps and batch.
        labels: The class indices that are looked for; None looks for all.
        tiling: How images are cut into tiles, beside which the whole image is looked at too; None takes it alone.
        precision: The arithmetic of the network.
        keep_pixels: Whether the image itself is given with its detections.
    """

    imgsz: int | InputSize
    settings: Evaluate
    labels: tuple[int, ...] | None = None
    tiling: Tiling | None = None
    precision: Precision = "fp32"
    keep_pixels: bool = False


@dataclass(frozen=True)
class ImageResult:
    """What was detected in an image.

    Args:
        source: The image.
        number: Its place in the stream, from 0.
        size_wh: Width and height in pixels; (0, 0) where it could not be read.
        prediction: The detections in pixels of the image, best first.
        image_rgb: The image (H, W, 3), where it is kept.
        error: Why it could not be read; None where it was.
    """

    source: SourceImage
    number: int
    size_wh: tuple[int, int]
    prediction: Prediction
    image_rgb: RgbArray | None = None
    error: DetectTransferError | None = None


@dataclass
class _Open:
    """An image whose detections are not complete yet."""

    source: SourceImage
    number: int
    size_wh: tuple[int, int] = (0, 0)
    image_rgb: RgbArray | None = None
    parts: list[FittedImage] = field(default_factory=list)
    windows: list[_Window] = field(default_factory=list)
    predictions: dict[int, Prediction] = field(default_factory=dict)
    error: DetectTransferError | None = None

    @property
    def is_complete(self) -> bool:
        return len(self.predictions) == len(self.windows)


def detect_stream(
    detector: Predictor, images: Iterable[SourceImage], options: StreamOptions, *, threaded: bool = True
) -> Iterator[ImageResult]:
    """Run a detector over images as they come, and give the detections of each in their order.

    Args:
        detector: The detector; it is in evaluation mode meanwhile.
        images: The images.
        options: How it is run.
        threaded: Whether threads read images ahead.
    """
    batch = options.settings.batch
    ahead = 2 if options.tiling is not None else 2 + batch // 2

    def load(numbered: tuple[int, SourceImage]) -> _Open:
        return _load(*numbered, options)

    opened = prefetched(enumerate(images), load, ahead=ahead) if threaded else map(load, enumerate(images))
    with evaluating(detector.module):
        yield from _in_order(_Batches(detector, options), opened)


def _in_order(batches: _Batches, opened: Iterator[_Open]) -> Iterator[ImageResult]:
    pending: dict[int, _Open] = {}
    number = 0
    for image in opened:
        pending[image.number] = image
        batches.add(image)
        if len(pending) >= batches.most_pending:  # one of a rare shape holds up all behind it
            batches.flush()
        while number in pending and pending[number].is_complete:
            yield batches.result(pending.pop(number))
            number += 1
    batches.flush()
    for image in pending.values():
        yield batches.result(image)


class _Batches:
    """Parts of images that wait for others of their shape."""

    def __init__(self, detector: Predictor, options: StreamOptions) -> None:
        self._detector = detector
        self._options = options
        self._postprocess = postprocess_of(options.settings, options.labels)
        self._waiting: dict[tuple[int, ...], list[tuple[_Open, int]]] = {}

    @property
    def most_pending(self) -> int:
        """How many images may wait for others of their shape, and behind those that do."""
        return 2 * self._options.settings.batch

    def add(self, image: _Open) -> None:
        """Let the parts of an image wait, and run what is a batch."""
        size = self._options.settings.batch
        for index, part in enumerate(image.parts):
            batch = self._waiting.setdefault(part.pixels.shape, [])
            batch.append((image, index))
            if len(batch) == size:
                self._run(self._waiting.pop(part.pixels.shape))

    def flush(self) -> None:
        """Run all that waits."""
        for batch in self._waiting.values():
            self._run(batch)
        self._waiting.clear()

    def _run(self, batch: list[tuple[_Open, int]]) -> None:
        parts = [image.parts[index] for image, index in batch]
        pixels = [part.pixels for part in parts]
        predictions = run_batch(self._detector, pixels, self._postprocess, precision=self._options.precision)
        for (image, index), part, prediction in zip(batch, parts, predictions, strict=True):
            image.predictions[index] = in_image(part, prediction)

    def result(self, image: _Open) -> ImageResult:
        """Return what was detected in an image all of whose parts were run."""
        return ImageResult(
            image.source, image.number, image.size_wh, self._whole(image), image.image_rgb, error=image.error
        )

    def _whole(self, image: _Open) -> Prediction:
        if not image.windows:
            return Prediction(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))
        if len(image.windows) == 1:
            return image.predictions[0]
        settings = self._options.settings
        return merge_tiles(
            [_moved(image.predictions[i], window) for i, window in enumerate(image.windows)],
            image.windows,
            image.size_wh,
            agnostic=settings.agnostic,
            max_detections=settings.max_detections,
        )


def _moved(prediction: Prediction, window: _Window) -> Prediction:
    return Prediction(prediction.xyxy + np.array(window[:2] * 2), prediction.scores, prediction.labels)


def _load(number: int, source: SourceImage, options: StreamOptions) -> _Open:
    """Read an image and fit its parts."""
    try:
        rgb = source.read()
    except DetectTransferError as error:
        return _Open(source, number, error=error)
    size_wh = (rgb.shape[1], rgb.shape[0])
    windows = [(0, 0, *size_wh)]
    if options.tiling is not None:
        windows += [window for window in options.tiling.windows(size_wh) if window != windows[0]]
    parts = [fit_image(number, rgb[y1:y2, x1:x2], options.imgsz) for x1, y1, x2, y2 in windows]
    return _Open(source, number, size_wh, rgb if options.keep_pixels else None, parts, windows)
