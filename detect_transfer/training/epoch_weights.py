"""The weights of the best epochs, on the disk while a run trains."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from detect_transfer.core.io import write_atomic
from detect_transfer.models.tensor_files import pack_tensors, read_tensors


@dataclass(frozen=True)
class EpochWeights:
    """The weights of some epochs, a file each.

    Args:
        folder: Where they lie.
    """

    folder: Path

    def write(self, epoch: int, state: dict[str, torch.Tensor]) -> None:
        """Store the weights of an epoch.

        Raises:
            InputError: They are not finite.
            ResourceError: The disk is full.
        """
        write_atomic(self._path(epoch), pack_tensors({name: t.contiguous() for name, t in state.items()}, {}))

    def read(self, epoch: int) -> dict[str, torch.Tensor]:
        """Read the weights of an epoch.

        Raises:
            InputError: They are damaged.
        """
        return read_tensors(self._path(epoch))[0]

    def has(self, epoch: int) -> bool:
        """Tell whether the weights of an epoch are stored."""
        return self._path(epoch).is_file()

    def keep_only(self, epochs: Collection[int]) -> None:
        """Remove the weights of all other epochs."""
        for path in self.folder.glob("*.safetensors"):
            if int(path.stem) not in epochs:
                path.unlink()

    def _path(self, epoch: int) -> Path:
        return self.folder / f"{epoch:06d}.safetensors"
