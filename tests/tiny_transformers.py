"""Networks of the transformers family that are small enough to train in tests; no published weights can be had here."""

from typing import Any

import torch

from detect_transfer.models.transformers.build import build
from detect_transfer.models.transformers.detector import TransformersDetector

NAMES = ("red", "green", "blue")
_HGNET = {
    "model_type": "hgnet_v2",
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8, 16, 16, 32],
    "stage_mid_channels": [8, 8, 8, 8],
    "stage_out_channels": [16, 16, 32, 32],
    "hidden_sizes": [16, 16, 32, 32],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_numb_of_layers": [1, 1, 1, 1],
    "out_indices": [3, 4],
}
_DECODER = {
    "num_feature_levels": 2,
    "feat_strides": [16, 32],
    "encode_proj_layers": [1],
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "decoder_in_channels": [32, 32],
    "decoder_layers": 2,
    "num_queries": 20,
    "num_denoising": 4,
    "encoder_in_channels": [32, 32],
    "hidden_expansion": 0.5,
    "freeze_backbone_batch_norms": False,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "d_fine": {**_DECODER, "backbone_config": _HGNET, "decoder_n_points": [2, 2], "depth_mult": 0.34},
    "rt_detr_v2": {
        **_DECODER,
        "decoder_n_levels": 2,
        "backbone_config": {
            "model_type": "rt_detr_resnet",
            "embedding_size": 8,
            "hidden_sizes": [8, 16, 32, 32],
            "depths": [1, 1, 1, 1],
            "layer_type": "basic",
            "out_indices": [3, 4],
        },
    },
    "rf_detr": {
        "backbone_config": {
            "model_type": "rf_detr_dinov2",
            "hidden_size": 24,
            "num_attention_heads": 2,
            "num_hidden_layers": 4,
            "image_size": 64,
            "patch_size": 16,
            "num_windows": 2,
            "out_features": ["stage2", "stage4"],
        },
        "d_model": 32,
        "decoder_layers": 2,
        "decoder_ffn_dim": 32,
        "decoder_n_points": 2,
        "decoder_self_attention_heads": 2,
        "decoder_cross_attention_heads": 2,
        "num_queries": 10,
        "group_detr": 2,
        "dropout": 0.0,
    },
}


def tiny(model_type: str = "d_fine", names: tuple[str, ...] = NAMES, **settings: Any) -> TransformersDetector:
    """Return an untrained detector."""
    torch.manual_seed(0)
    chosen = {**SETTINGS[model_type], **settings}
    return TransformersDetector(build(model_type, len(names), chosen), model_type, names, chosen)
