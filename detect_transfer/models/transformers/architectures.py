"""The architectures of the transformers family by name: what their published configs say, and where these are.

Numbers are those of the configs on the hub, which the library's conversion scripts write; what is not here is the
library's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Architecture:
    """A published network.

    Args:
        model_type: Of the library.
        repository: On the hub.
        settings: Keys of the library's config.
    """

    model_type: str
    repository: str
    settings: Settings


def _hgnet(channels: tuple[int, int, int], stem: tuple[int, int], *, blocks: list[int], layers: int, lab: bool) -> Any:
    """Return the config of an HGNetV2 by its channels: into the first stage, out of it and out of the second."""
    inner, first, second = channels
    out = [first, second, 2 * second, 4 * second]
    return {
        "model_type": "hgnet_v2",
        "stem_channels": [3, *stem],
        "stage_in_channels": [stem[1], *out[:3]],
        "stage_mid_channels": [inner, 2 * inner, 4 * inner, 8 * inner],
        "stage_out_channels": out,
        "hidden_sizes": [second // 2, second, 2 * second, 4 * second],
        "stage_num_blocks": blocks,
        "stage_numb_of_layers": [layers] * 4,
        "use_learnable_affine_block": lab,
        "out_indices": [2, 3, 4],
    }


_B0 = _hgnet((16, 64, 256), (16, 16), blocks=[1, 1, 2, 1], layers=3, lab=True)
_POINTS = {"decoder_n_points": [3, 6, 3]}


def _dfine(size: str, backbone: Settings, **settings: Any) -> Architecture:
    return Architecture(
        "d_fine", f"ustc-community/dfine-{size}-coco", {"backbone_config": backbone, **_POINTS, **settings}
    )


def _rtdetr(size: str, backbone: Settings | None = None, **settings: Any) -> Architecture:
    chosen = {"backbone_config": {"model_type": "rt_detr_resnet", "out_indices": [2, 3, 4], **(backbone or {})}}
    return Architecture("rt_detr_v2", f"PekingU/rtdetr_v2_{size}", {**chosen, **settings})


def _basic(depths: list[int]) -> dict[str, Any]:
    return {"hidden_sizes": [64, 128, 256, 512], "depths": depths, "layer_type": "basic"}


def _rfdetr(size: str, side: int, layers: int, **backbone: Any) -> Architecture:
    """Return an RF-DETR on DINOv2-small with windows."""
    chosen = {
        "model_type": "rf_detr_dinov2",
        "hidden_size": 384,
        "num_attention_heads": 6,
        "image_size": side,
        "patch_size": 16,
        "num_windows": 2,
        "out_features": ["stage3", "stage6", "stage9", "stage12"],
        **backbone,
    }
    settings = {"backbone_config": chosen, "decoder_layers": layers, "decoder_n_points": 2}
    return Architecture("rf_detr", f"Roboflow/rf-detr-{size}", settings)


_WIDE = {"encoder_hidden_dim": 384, "encoder_ffn_dim": 2048, "decoder_in_channels": [384, 384, 384]}
_SMALL = {"encoder_in_channels": [128, 256, 512], "hidden_expansion": 0.5}

ARCHITECTURES: dict[str, Architecture] = {
    "dfine_n": _dfine(
        "nano",
        {**_B0, "out_indices": [3, 4]},
        num_feature_levels=2,
        feat_strides=[16, 32],
        encode_proj_layers=[1],
        d_model=128,
        encoder_hidden_dim=128,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        encoder_in_channels=[512, 1024],
        decoder_in_channels=[128, 128],
        decoder_n_points=[6, 6],
        decoder_layers=3,
        depth_mult=0.5,
        hidden_expansion=0.34,
    ),
    "dfine_s": _dfine(
        "small", _B0, decoder_layers=3, hidden_expansion=0.5, depth_mult=0.34, encoder_in_channels=[256, 512, 1024]
    ),
    "dfine_m": _dfine(
        "medium",
        _hgnet((32, 96, 384), (24, 32), blocks=[1, 1, 3, 1], layers=4, lab=True),
        decoder_layers=4,
        depth_mult=0.67,
        encoder_in_channels=[384, 768, 1536],
    ),
    "dfine_l": _dfine("large", _hgnet((48, 128, 512), (32, 48), blocks=[1, 1, 3, 1], layers=6, lab=False)),
    "dfine_x": _dfine("xlarge", _hgnet((64, 128, 512), (32, 64), blocks=[1, 2, 5, 2], layers=6, lab=False), **_WIDE),
    "rtdetr_v2_r18vd": _rtdetr("r18vd", _basic([2, 2, 2, 2]), **_SMALL, decoder_layers=3),
    "rtdetr_v2_r34vd": _rtdetr("r34vd", _basic([3, 4, 6, 3]), **_SMALL, decoder_layers=4),
    "rtdetr_v2_r50vd": _rtdetr("r50vd"),
    "rtdetr_v2_r101vd": _rtdetr("r101vd", {"depths": [3, 4, 23, 3]}, **_WIDE),
    "rfdetr_nano": _rfdetr("nano", 384, 2),
    "rfdetr_small": _rfdetr("small", 512, 3),
    "rfdetr_medium": _rfdetr("medium", 576, 4),
    "rfdetr_base": _rfdetr(
        "base", 518, 3, patch_size=14, num_windows=4, out_features=["stage2", "stage5", "stage8", "stage11"]
    ),
    "rfdetr_large": _rfdetr("large", 704, 4),
}
MODEL_TYPES = tuple(dict.fromkeys(each.model_type for each in ARCHITECTURES.values()))
