"""Fitting images to the network and boxes back."""

import numpy as np
import pytest

from detect_transfer.models.letterbox import PAD_VALUE, letterbox


@pytest.mark.parametrize("size_wh", [(100, 50), (50, 100), (320, 320), (641, 37), (1, 1)])
@pytest.mark.parametrize("multiple", [None, 32])
def test_letterbox__boxes_come_back(size_wh: tuple[int, int], multiple: int | None) -> None:
    width, height = size_wh
    image = np.zeros((height, width, 3), np.uint8)
    out, fit = letterbox(image, 320, multiple=multiple)
    assert max(out.shape[:2]) == 320
    assert all(side % 32 == 0 for side in out.shape[:2])
    xyxy = np.array([[0.0, 0.0, width, height], [width / 4, height / 4, width / 2, height / 2]])
    np.testing.assert_allclose(fit.to_image(fit.to_network(xyxy)), xyxy, atol=1e-9)
    whole = fit.to_network(xyxy)[0]
    inside = out[int(whole[1]) : int(whole[3]), int(whole[0]) : int(whole[2])]
    assert (inside == 0).all()
    assert (out == PAD_VALUE).sum() == out.size - inside.size
