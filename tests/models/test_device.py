"""Devices: what is there is taken, what is not is told."""

import pytest
import torch

from detect_transfer.core.errors import InputError
from detect_transfer.models.device import choose_device


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
def test_no_such_device__is_told_with_what_asked_for_it(wanted: str, code: str) -> None:
    with pytest.raises(InputError, match=rf"{code} --device={wanted} "):
        choose_device(wanted, field="--device")
