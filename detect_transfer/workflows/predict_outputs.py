"""What prediction writes for each image: rows, drawings, crops and videos, as it goes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.image_sources import SourceImage, free_path, output_stem
from detect_transfer.core.io import write_atomic
from detect_transfer.data.seen_images import SEEN_IMAGES
from detect_transfer.formats.detections.streams import DETECTION_WRITERS, Classes, DetectedImage, JsonArray
from detect_transfer.report.drawings import KINDS, Mark, draw_marks, legend_strip
from detect_transfer.report.render import encode_jpeg
from detect_transfer.report.text import short_name
from detect_transfer.report.video import VideoFile

SKIPPED_IMAGES = "skipped.json"
_FRAME_SIDE = 480  # smaller frames are drawn larger; encoding a frame of twice the side takes four times as long
_NO_FILE_NAME = re.compile(r"[^\w.-]+")


class PredictionRows:
    """The files of detections, the list of the images that were seen, and that of those that could not be read.

    Args:
        folder: Where they go.
        classes: The classes of the detector.
        targets: Keys of `DETECTION_WRITERS`.
    """

    def __init__(self, folder: Path, classes: Classes, targets: Sequence[str]) -> None:
        self._writers = [DETECTION_WRITERS[name](folder, classes) for name in targets]
        self._lines = [writer for name, writer in zip(targets, self._writers, strict=True) if name == "jsonl"]
        self._seen = JsonArray(folder / SEEN_IMAGES)
        self._skipped_path = folder / SKIPPED_IMAGES
        self._skipped: JsonArray | None = None

    def write(self, image: DetectedImage, error: DetectTransferError | None) -> None:
        """Write what was detected in an image, or why it could not be read."""
        if error is not None:
            for writer in self._lines:
                writer.write(image)
            self._skipped = self._skipped or JsonArray(self._skipped_path)
            self._skipped.write([{"file_name": image.file_name, **error.as_dict()}])
            return
        for writer in self._writers:
            writer.write(image)
        width, height = image.size_wh
        row = {"image_id": image.image_id, "file_name": image.file_name, "width": width, "height": height}
        self._seen.write([row])

    def close(self, *, whole: bool) -> None:
        """End all files; those that are not whole are removed, but for the JSON lines."""
        for writer in self._writers:
            writer.close(whole=whole)
        for listing in (self._seen, self._skipped):
            if listing is not None:
                listing.close(whole=whole)


class Drawings:
    """Annotated images, cut-out objects and annotated videos.

    Args:
        folder: Where they go: `images/`, `crops/CLASS/` and `videos/`.
        class_names: The classes in order.
        images: Whether images are drawn; frames of videos are not, but with `videos`.
        crops: Whether each object is written by itself.
        videos: Whether annotated videos are written.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], *, images: bool, crops: bool, videos: bool) -> None:
        self._folder = folder
        self._names = [short_name(name, longest=22) for name in class_names]
        self._crop_folders = [_NO_FILE_NAME.sub("_", name).strip(".") or "class" for name in class_names]
        self._images, self._crops, self._videos = images, crops, videos
        self._video: tuple[str, VideoFile] | None = None
        self.n_frames_not_drawn = 0

    @property
    def needs_pixels(self) -> bool:
        """Whether anything is drawn or cut out."""
        return self._images or self._crops or self._videos

    def write(self, source: SourceImage, rgb: RgbArray, image: DetectedImage) -> None:
        """Draw what reaches its score in one image."""
        if self._crops:
            self._write_crops(rgb, image)
        if source.video:
            self._write_frame(source, rgb, image)
        elif self._images:
            path = free_path(self._folder / "images", output_stem(image.file_name), ".jpg", name=image.file_name)
            write_atomic(path, encode_jpeg(draw_marks(rgb, self._marks(image))), flush=False)

    def close(self) -> None:
        """End the video that is being written.

        Raises:
            ResourceError: OpenCV could not write all of it.
        """
        if self._video is not None:
            _, video = self._video
            self._video = None
            video.finish()

    def _write_frame(self, source: SourceImage, rgb: RgbArray, image: DetectedImage) -> None:
        if not self._videos:
            self.n_frames_not_drawn += 1
            return
        if self._video is None or self._video[0] != source.video:
            self.close()
            name = output_stem(image.file_name).rpartition("_")[0] or "video"
            path = free_path(self._folder / "videos", name, ".mp4", name=image.file_name)
            self._video = (source.video, VideoFile(path, fps=source.fps))
        drawn = draw_marks(rgb, self._marks(image), legend=False, shown_side=_FRAME_SIDE)
        legend = legend_strip([kind for kind in KINDS if kind == "detection"], drawn.shape[1], counted=False)
        self._video[1].write(np.vstack([drawn, legend]))

    def _marks(self, image: DetectedImage) -> list[Mark]:
        rows = zip(image.xyxy[image.drawn].tolist(), image.labels[image.drawn], image.scores[image.drawn], strict=True)
        return [Mark(tuple(box), "detection", f"{self._names[label]} {score:.2f}") for box, label, score in rows]

    def _write_crops(self, rgb: RgbArray, image: DetectedImage) -> None:
        for number, (box, label) in enumerate(zip(image.xyxy[image.drawn], image.labels[image.drawn], strict=True)):
            x1, y1 = np.floor(box[:2]).astype(int)
            x2, y2 = np.ceil(box[2:]).astype(int)
            folder = self._folder / "crops" / self._crop_folders[label]
            stem = f"{output_stem(image.file_name)}_{number:03d}"
            path = free_path(folder, stem, ".jpg", name=f"{image.file_name}_{number:03d}")
            write_atomic(path, encode_jpeg(np.ascontiguousarray(rgb[y1:y2, x1:x2]), quality=95), flush=False)
