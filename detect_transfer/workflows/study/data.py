"""The data of a study: read once, with parts of the training set and a test part that all arms share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean

import polars as pl

from detect_transfer.config import Data, StudyConfig
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, raise_problems
from detect_transfer.core.io import write_json
from detect_transfer.data.image_paths import ImagePaths
from detect_transfer.data.native import NativeData
from detect_transfer.data.run_data import RunData, load_run_data
from detect_transfer.data.split import split_by_ratio
from detect_transfer.data.split_file import SPLITS_VERSION
from detect_transfer.data.subsets import missing_classes, nested_subsets
from detect_transfer.training.samples import REPEATING, TrainSamples, repeat_factors
from detect_transfer.workflows.run_source import make_run_data
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.folds import FoldTables, fold_tables
from detect_transfer.workflows.study.source import keep_source

_SPLIT_SEED = 0  # not that of a run: all seeds are scored on the same images


@dataclass(frozen=True)
class StudySplit:
    """One division of the images of a study.

    Args:
        train: The whole training set.
        parts: The images of each part of it, by percent.
        val: The images that the best epoch is chosen by.
        test: The images that the verdict is about.
    """

    train: AnnotationTable
    parts: dict[float, list[int]]
    val: AnnotationTable
    test: AnnotationTable


@dataclass(frozen=True)
class StudyData:
    """What the arms of a study share.

    Args:
        data: The data part of every run, without its split file.
        splits: The division of the images in each fold; one division without folds.
        names: The file name of each image_id.
        paths: The file of each image_id.
        fingerprint: A hash of tables and image files.
        notes: What was decided about the data, in words.
        seen: The hash, as `head_digest`, of each image that runs train on or choose by; with folds that is each image.
    """

    data: Data
    splits: tuple[StudySplit, ...]
    names: dict[int, str]
    paths: ImagePaths
    fingerprint: str
    notes: tuple[str, ...]
    seen: frozenset[str] = frozenset()

    @property
    def folds(self) -> tuple[int | None, ...]:
        """The number of each fold, from 1 on; one None without folds."""
        return (None,) if len(self.splits) == 1 else tuple(range(1, len(self.splits) + 1))

    @property
    def overlap(self) -> float:
        """Test images of a fold over all others; 0 without folds."""
        return 0.0 if len(self.splits) == 1 else 1 / (len(self.splits) - 1)

    @property
    def n_val(self) -> int:
        """Images that the best epoch is chosen by; with folds their mean."""
        return round(mean(split.val.images.height for split in self.splits))

    @property
    def n_test(self) -> int:
        """Images that the verdict is about; those of all folds."""
        return sum(split.test.images.height for split in self.splits)

    @property
    def n_train(self) -> int:
        """Images of the whole training set; with folds their mean."""
        return round(mean(split.train.images.height for split in self.splits))

    def n_images(self, percent: float) -> int:
        """Return the images of a part of the training set; with folds their mean."""
        return round(mean(len(split.parts[percent]) for split in self.splits))

    def n_shown(self, percent: float, balance: str) -> int:
        """Return how many images an epoch of a part shows: those of rare classes may be repeated; with folds the mean.

        Args:
            percent: The part.
            balance: As `train.class_balance`.
        """
        if balance not in REPEATING:
            return self.n_images(percent)
        parts = [TrainSamples(split.train.select_images(split.parts[percent]), self.paths) for split in self.splits]
        return round(mean(float(repeat_factors(part).sum()) for part in parts))

    def split_of(self, fold: int | None) -> StudySplit:
        """Return the division of the images in a fold."""
        return self.splits[0 if fold is None else fold - 1]

    def document(self, percent: float, fold: int | None = None) -> dict[str, object]:
        """Return the content of the split file of a part."""
        split = self.split_of(fold)
        ids = {
            self.data.train_split: split.parts[percent],
            self.data.val_split: split.val.images["image_id"].to_list(),
            str(self.data.test_split): split.test.images["image_id"].to_list(),
        }
        rule = {"kind": "study", "percent": percent, "seed": _SPLIT_SEED, "stratified_by": "class"}
        rule |= {} if fold is None else {"fold": fold}
        splits = {name: sorted(self.names[i] for i in of) for name, of in ids.items()}
        return {"splits_version": SPLITS_VERSION, "rule": rule, "splits": splits}

    def sha256(self, percent: float, fold: int | None = None) -> str:
        """Return the hash of the data of runs with a part: of all images and annotations, and of who trains on what."""
        text = f"{self.fingerprint}\0{self.document(percent, fold)['splits']}"
        return hashlib.sha256(text.encode()).hexdigest()


def load_study_data(
    config: StudyConfig, folder: StudyFolder, *, on_stage: Callable[[str], None] = lambda _: None
) -> StudyData:
    """Read and check the data, hold out a test part where there is none, and choose the parts of the training set.

    Raises:
        InputError: The data are wrong, or arms could not be compared on them.
    """
    data, notes = config.data, []
    keep_source(config, folder)
    native = make_run_data(config, folder.data, on_stage=on_stage)
    if folder.data.exists():
        keep_source(config, folder)
        splits = data.model_dump(include={"train_split", "val_split", "test_split", "split_file"})
        data = Data(path=folder.data, **splits)
    on_stage("checking the data")
    if config.study.folds is not None:
        loaded = load_run_data(data, drawn=folder.data, native=native)
        data = data.model_copy(update={"test_split": "test"})
        tables = fold_tables(loaded, data, config.study.folds)
        notes.append(_folds_note(tables))
    else:
        loaded, data = _with_test(data, folder, native)
        if loaded.test is None:
            loaded, data = _hold_out(loaded, data, config.study.held_out)
            notes.append(_held_out_note(loaded))
        assert loaded.test is not None
        tables = [(loaded.train, loaded.val, loaded.test)]
    search, divisions = config.study.search, []
    sizes = [*config.study.sizes, *([] if search is None or search.percent in config.study.sizes else [search.percent])]
    for train, val, test in tables:
        parts = nested_subsets(train, sizes, seed=_SPLIT_SEED, hashes=loaded.content)
        _refuse_missing_classes(train, parts, (val, test), config.study.sizes)
        divisions.append(StudySplit(train, parts, val, test))
    if not loaded.train.images["group"].drop_nulls().is_empty():
        notes.append("parts of the training set and the test part cut no group of images")
    names = {i: name for table in tables[0] for i, name in table.images.select("image_id", "file_name").rows()}
    used = {i for train, val, _ in tables for table in (train, val) for i in table.images["image_id"]}
    seen = frozenset(loaded.content[i] for i in used)
    return StudyData(data, tuple(divisions), names, loaded.paths, loaded.fingerprint, tuple(notes), seen)


def write_split_files(data: StudyData, folder: StudyFolder) -> None:
    """Write the split file of each part that has none yet.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    for fold in data.folds:
        for percent in data.split_of(fold).parts:
            write_json(folder.split_file(percent, fold), data.document(percent, fold))


def _with_test(data: Data, folder: StudyFolder, native: NativeData | None) -> tuple[RunData, Data]:
    """Read the data with the test split that the config names, else with that of the data, if they have one."""
    if data.test_split is None and data.split_file is None:
        tested = data.model_copy(update={"test_split": "test"})
        try:
            return load_run_data(tested, drawn=folder.data, native=native), tested
        except InputError as error:
            if (error.code, error.value) not in {("SPLIT_MISSING", "test"), ("SPLIT_NO_POSITIVES", "test")}:
                raise
    return load_run_data(data, drawn=folder.data, native=native), data


def _hold_out(loaded: RunData, data: Data, share: float) -> tuple[RunData, Data]:
    """Make a test part of whole groups of training images."""
    ratios = {data.train_split: 1 - share, "test": share}
    try:
        table = split_by_ratio(loaded.train, ratios, seed=_SPLIT_SEED, hashes=loaded.content)
    except InputError as error:
        raise InputError(
            "STUDY_TEST",
            f"the data have no test split, and none can be held out of {loaded.train.images.height} training images: "
            f"{error.what}",
            field="study.held_out",
            value=share,
            remedy="name a split that nothing is chosen by as data.test_split, or give more images",
        ) from error
    train, test = table.split_of(data.train_split), table.split_of("test")
    return replace(loaded, train=train, test=test), data.model_copy(update={"test_split": "test"})


def _folds_note(tables: Sequence[FoldTables]) -> str:
    images = pl.concat([test.images.select("image_id", "group") for _, _, test in tables])
    grouped = images["group"].null_count() == 0
    warning = "" if grouped else ", image by image as the data name no groups: images that were taken together may lie "
    warning += "" if grouped else "in two folds"
    return (
        f"{len(tables)} folds of {images.height} training and validation images: each image is tested once, by runs "
        f"that train on the other folds and choose the best epoch on one of them{warning}"
    )


def _held_out_note(loaded: RunData) -> str:
    assert loaded.test is not None
    n_test = loaded.test.images.height
    grouped = "by group" if loaded.test.images["group"].null_count() == 0 else "image by image"
    warning = "" if grouped == "by group" else ": images that were taken together may lie on both sides"
    return (
        f"the data have no test split: {n_test} of {n_test + loaded.train.images.height} training images are held out "
        f"for the verdict, {grouped} as the data name {'them' if grouped == 'by group' else 'no groups'}{warning}"
    )


def _refuse_missing_classes(
    train: AnnotationTable, parts: dict[float, list[int]], scored: tuple[AnnotationTable, ...], sizes: Sequence[float]
) -> None:
    """Refuse parts of the training set that lack a class which they would be scored on."""
    images = pl.concat([table.images for table in scored], how="diagonal")
    boxes = pl.concat([table.boxes for table in scored], how="diagonal")
    boxes = boxes.with_columns(annotation_id=pl.int_range(pl.len(), dtype=pl.Int64))
    wanted = AnnotationTable(images, boxes, train.categories)
    lacking = {percent: missing_classes(train, ids, wanted) for percent, ids in parts.items()}
    whole = [percent for percent, names in lacking.items() if not names]
    remedy = (
        f"{min(whole):g} % and more have all classes: give no smaller number"
        if whole
        else ("take the classes out of the data (--class-map of convert), or give images of them to the training split")
    )
    raise_problems(
        [
            InputError(
                "STUDY_CLASSES",
                f"{percent:g} % of the training images ({len(parts[percent])}) have no object of {len(names)} classes "
                f"that are scored, such as {', '.join(names[:5])}: a score would say nothing of the arm",
                field="study.sizes" if percent in sizes else "study.search.percent",
                value=percent,
                remedy=remedy,
            )
            for percent, names in lacking.items()
            if names
        ]
    )
