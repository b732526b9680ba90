"""What all tests share."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import SHARED

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: threads of several workers would collide
    os.environ["OMP_NUM_THREADS"] = "1"
if "START_METHOD" in os.environ:  # `make test-spawn`: as on macOS, Windows and Python 3.14
    multiprocessing.set_start_method(os.environ["START_METHOD"])


LONGEST = (  # a minute or more; one that is begun last keeps one process busy while the others have nothing left
    "cli/test_no_network.py",
    "workflows/test_train.py",
    "workflows/study/test_run.py",
    "training/test_gradient.py",
    "training/test_torchvision_runs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first that take longest."""
    first = {Path(__file__).parent / name for name in LONGEST}
    items.sort(key=lambda item: item.path not in first)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights beside the checkout; a test that needs it is skipped without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip("real data are not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def coco_weights(shared: Path) -> Path:
    """COCO weights of YOLO11n."""
    path = shared / "weights" / "yolo11n_coco.pt"
    if not path.is_file():
        pytest.skip("real weights are not beside this checkout")
    return path


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of a few small drawn scenes."""
    from detect_transfer.config import Synthetic
    from detect_transfer.data.run_data import draw_data

    folder = tmp_path_factory.mktemp("tiny") / "data"
    draw_data(Synthetic(task="target", train_images=20, val_images=18, size=96), folder, seed=3)
    return folder


@pytest.fixture(scope="session")
def few_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches of eight to train on and six images to score, for tests of several processes and large networks."""
    from detect_transfer.config import Synthetic
    from detect_transfer.data.run_data import draw_data

    folder = tmp_path_factory.mktemp("few") / "data"
    draw_data(Synthetic(task="target", train_images=16, val_images=6, size=96), folder, seed=3)
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums over threads come in any order; with one thread runs are equal to the last bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
