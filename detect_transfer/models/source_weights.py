"""`Checkpoint`: a weights file as it was read. `SourceWeights`: a pretrained model that a family recognised in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from detect_transfer.core.errors import InputError

_LEAST_SHARE = 0.5  # of the tensors of an architecture that its weights must have to start training from them


@dataclass(frozen=True)
class Checkpoint:
    """The content of a weights file.

    Args:
        tensors: Name to tensor, single precision.
        path: The file.
        sha256: Its hash.
        metadata: Texts of its header.
        arch: The architecture that it names; empty where it names none.
        names: Its class names as they stand there: a list, a mapping from numbers, or None.
    """

    tensors: dict[str, torch.Tensor]
    path: Path
    sha256: str
    metadata: dict[str, str] = field(default_factory=dict)
    arch: str = ""
    names: Any = None

    def error(self, code: str, what: str, remedy: str) -> InputError:
        """Return an error about this file."""
        return InputError(code, what, where=self.path, remedy=remedy)

    def class_names(self, n_rows: int) -> tuple[str, ...] | None:
        """Return the class names in the order of the class rows; None where the file has none.

        Args:
            n_rows: How many classes the tensors have a row for.

        Raises:
            InputError: The names are no list and no mapping from consecutive numbers, not one a row, or not unique.
        """
        if self.names is None:
            return None
        names = self.names
        try:
            if isinstance(names, dict):
                by_number = {int(key): name for key, name in names.items()}
                numbers = sorted(by_number)
                if numbers not in (list(range(len(names))), list(range(1, len(names) + 1))):
                    raise ValueError(f"the numbers {numbers[:5]} ... do not count the classes from 0 or 1")
                names = [by_number[number] for number in numbers]
            if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
                raise ValueError("no list of texts, and no mapping from numbers to texts")
        except (ValueError, TypeError) as error:
            raise self.error(
                "WEIGHTS_CARD", f"its class names cannot be read: {error}", "write them as a list"
            ) from error
        if len(set(names)) != len(names):
            raise self.error("WEIGHTS_CARD", "two of its classes have one name", "give each class a name of its own")
        if len(names) != n_rows:
            raise self.error(
                "WEIGHTS_CARD",
                f"it names {len(names)} classes, but its tensors have rows for {n_rows}",
                f"write {n_rows} names into the file",
            )
        return tuple(names)


@dataclass(frozen=True)
class SourceWeights:
    """A pretrained model: its tensors and what is known of it.

    Args:
        tensors: Name to tensor, single precision.
        arch: The architecture with its size letter; empty for the features of a classification network.
        class_names: The classes of its head, in order.
        path: The file.
        sha256: Its hash.
        metadata: The texts of its header, and what its family adds.
        family: The name of its family.
    """

    tensors: dict[str, torch.Tensor]
    arch: str
    class_names: tuple[str, ...]
    path: Path
    sha256: str
    metadata: dict[str, str] = field(default_factory=dict)
    family: str = "yolo"

    @property
    def category_ids(self) -> tuple[int, ...] | None:
        """The category id of each class in the data set that it was trained on; None where the file has none.

        Raises:
            InputError: They are not one number a class.
        """
        if "category_ids" not in self.metadata:
            return None
        try:
            ids = json.loads(self.metadata["category_ids"])
            if len(set(ids)) != len(self.class_names) or any(type(each) is not int for each in ids):
                raise ValueError(f"{len(self.class_names)} different numbers were expected")
        except (ValueError, TypeError) as error:
            raise InputError(
                "WEIGHTS_CARD",
                f"category_ids in its header cannot be read ({error})",
                where=self.path,
                remedy="fetch the file again",
            ) from error
        return tuple(ids)


def check_share(source: SourceWeights, fitting: int, expected: int) -> None:
    """Raise where too few of the expected tensors are in the weights in their shape.

    Raises:
        InputError: Less than half of them.
    """
    if fitting < _LEAST_SHARE * expected:
        raise InputError(
            "WEIGHTS_ARCH",
            f"only {fitting} of the {expected} tensors of this architecture are there in their shape, "
            f"{_LEAST_SHARE:.0%} are needed",
            where=source.path,
            remedy="give weights of this architecture or backbone, or set model.arch and model.backbone to theirs",
        )
