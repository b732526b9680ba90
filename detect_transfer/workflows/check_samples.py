"""Some images of a data set as training will see them, for the page of a check."""

from __future__ import annotations

from pathlib import Path

from detect_transfer.config import Mirror
from detect_transfer.config.augment import AugmentName
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import safe_join
from detect_transfer.core.video import parse_frame_name
from detect_transfer.report.check_samples import AugmentedImage, sample_images
from detect_transfer.report.drawings import Mark
from detect_transfer.report.text import short_name


def augmented_images(
    table: AnnotationTable, augment: AugmentName = "default", *, imgsz: InputSize, data_set: str = ""
) -> list[AugmentedImage]:
    """Return images of the sample sheet as the first epoch sees them, mixed with each other; what fails is left out.

    Args:
        table: With the folder of its images.
        augment: The preset.
        imgsz: What they are scaled into in training.
        data_set: The native format, by which mirroring is decided.
    """
    from detect_transfer.training.augment import Augmenter
    from detect_transfer.training.dataset import ImageOptions, TrainSet
    from detect_transfer.training.mirroring import choose_mirroring
    from detect_transfer.training.samples import TrainSamples, box_sides

    root = table.image_root
    chosen = table.select_images(sample_images(table)["image_id"])
    if root is None or any(parse_frame_name(name) for name in chosen.images["file_name"]):
        return []
    paths: dict[int, Path] = {}
    for image_id, name in chosen.images.select("image_id", "file_name").rows():
        try:
            paths[image_id] = safe_join(root, name, links=True)
        except DetectTransferError:
            continue  # the findings name it
    mirroring = choose_mirroring(Mirror(), table.class_names, data_set=data_set)
    augmenter = Augmenter(augment, imgsz=imgsz, mirroring=mirroring, box_sides=box_sides(table, imgsz))
    samples = TrainSamples(chosen.select_images(list(paths)), paths)
    images = TrainSet(samples, ImageOptions(imgsz, augmenter, 0))
    made = []
    for index in range(len(samples)):
        try:
            sample, _, _ = images[1, index, True]
        except DetectTransferError:
            continue
        names = [short_name(table.class_names[label], longest=22) for label in sample.labels]
        corners = [(x1, y1, x2, y2) for x1, y1, x2, y2 in sample.xyxy.tolist()]
        marks = [Mark(box, "truth", name) for box, name in zip(corners, names, strict=True)]
        marks += [Mark((x1, y1, x2, y2), "ignored") for x1, y1, x2, y2 in sample.ignored.tolist()]
        made.append(AugmentedImage(sample.pixels, marks))
    return made
