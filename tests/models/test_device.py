"""Devices: what is there is taken, what is not is refused."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from detect_transfer.config import Evaluate
from detect_transfer.core.errors import InputError
from detect_transfer.models.device import choose_device
from detect_transfer.models.predict import fit_image, predict


def test_a_gpu_by_its_number__becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert current == [torch.device("cuda:1")]
    with pytest.raises(InputError, match=r"DEVICE_MISSING train\.device=cuda:2"):
        choose_device("cuda:2")


@pytest.mark.parametrize(("wanted", "code"), [("tpu9", "DEVICE_UNKNOWN"), ("meta", "DEVICE_MISSING")])
def test_no_such_device__is_reported_with_what_asked_for_it(wanted: str, code: str) -> None:
    with pytest.raises(InputError, match=rf"{code} --device={wanted} "):
        choose_device(wanted, field="--device")


@pytest.mark.parametrize("precision", ["high", "highest"])
def test_scoring__computes_in_full_single_precision_and_puts_back_what_was_set(precision: str) -> None:
    seen: list[Any] = []

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        matmul, conv = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
        seen.append((matmul, conv, torch.backends.mkldnn.matmul.fp32_precision, (inputs[0, 0] @ inputs[0, 0]).dtype))
        return inputs

    detector: Any = SimpleNamespace(
        module=torch.nn.Linear(1, 1), preprocess=lambda images: images.float(), postprocess=lambda *_: []
    )
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        flags = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        images = [fit_image(1, np.zeros((32, 32, 3), np.uint8), 32)]
        with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="shorter"):
            predict(detector, images, settings=Evaluate(), category_ids=[1], forward=forward)
        assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == flags
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == [("ieee", "ieee", "ieee", torch.float32)]
