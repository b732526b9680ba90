"""The run config: pydantic models of every key, and one loader."""

from detect_transfer.config.explain import Key, explain, keys_of, schema_text
from detect_transfer.config.load import (
    dump_config,
    load_config,
    load_config_of,
    make_config,
    make_config_of,
    parse_value,
    read_yaml,
)
from detect_transfer.config.parts import Data, Evaluate, Mirror, Model, RunConfig, Synthetic, Train
from detect_transfer.config.paths import absolute_paths, path_keys
from detect_transfer.config.settings_hash import settings_sha256, sha256_of_settings
from detect_transfer.config.study import NAMED_ARMS, Study, StudyConfig
from detect_transfer.config.transfer import STAGES, BatchNorm, Phase, Schedule, Stage, Start, StrategyName, Transfer

__all__ = [
    "NAMED_ARMS",
    "STAGES",
    "BatchNorm",
    "Data",
    "Evaluate",
    "Key",
    "Mirror",
    "Model",
    "Phase",
    "RunConfig",
    "Schedule",
    "Stage",
    "Start",
    "StrategyName",
    "Study",
    "StudyConfig",
    "Synthetic",
    "Train",
    "Transfer",
    "absolute_paths",
    "dump_config",
    "explain",
    "keys_of",
    "load_config",
    "load_config_of",
    "make_config",
    "make_config_of",
    "parse_value",
    "path_keys",
    "read_yaml",
    "schema_text",
    "settings_sha256",
    "sha256_of_settings",
]
