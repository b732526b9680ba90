"""Folds of a study: every image is tested once, and no group of images lies in two folds."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from detect_transfer.config import Data
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.published import as_published
from detect_transfer.data.run_data import RunData
from detect_transfer.data.split import split_by_ratio

_SPLIT_SEED = 0  # not that of a run: all arms and seeds have the same folds
FoldTables = tuple[AnnotationTable, AnnotationTable, AnnotationTable]  # training, validation, test


def fold_tables(loaded: RunData, data: Data, n_folds: int) -> list[FoldTables]:
    """Divide the training and validation images into folds, stratified by class, without cutting a group.

    A fold is the test images once, and the validation images of the fold before it; all others train.

    Args:
        loaded: The data, as they are divided by themselves.
        data: The names of the splits.
        n_folds: At least 3.

    Returns:
        For each fold the training, validation and test images.

    Raises:
        InputError: There are fewer groups of images than folds, or a fold has no object.
    """
    images = pl.concat([loaded.train.images, loaded.val.images], how="diagonal_relaxed")
    boxes = pl.concat([loaded.train.boxes, loaded.val.boxes], how="diagonal_relaxed")
    boxes = boxes.with_columns(annotation_id=pl.int_range(pl.len(), dtype=pl.Int64))
    pool = replace(loaded.train, images=images, boxes=boxes)
    names = [f"fold{number}" for number in range(1, n_folds + 1)]
    try:
        pool = split_by_ratio(pool, dict.fromkeys(names, 1 / n_folds), seed=_SPLIT_SEED, hashes=loaded.content)
    except InputError as error:
        raise InputError(
            "STUDY_FOLDS",
            f"{images.height} training and validation images do not fill {n_folds} folds: {error.what}",
            field="study.folds",
            value=n_folds,
            remedy="give a smaller number, 3 at least, or more groups of images",
        ) from error
    of_fold = [pool.split_of(name).images["image_id"].to_list() for name in names]
    tables = []
    for number, tested in enumerate(of_fold):
        chosen_by = of_fold[(number + 1) % n_folds]
        rest = [i for other in of_fold if other not in (tested, chosen_by) for i in other]
        splits = {data.train_split: rest, data.val_split: chosen_by, str(data.test_split): tested}
        train, val, test = (_part(pool, ids, name) for name, ids in splits.items())
        tables.append((train, as_published(val), as_published(test)))
    return tables


def _part(pool: AnnotationTable, ids: list[int], split: str) -> AnnotationTable:
    part = pool.select_images(ids)
    return replace(part, images=part.images.with_columns(split=pl.lit(split)))
