"""The run config: pydantic models of every key, and one loader."""

from detect_transfer.config.load import dump_config, load_config, make_config, parse_value, read_yaml
from detect_transfer.config.parts import Data, Evaluate, Mirror, Model, RunConfig, Synthetic, Train
from detect_transfer.config.transfer import STAGES, BatchNorm, Phase, Schedule, Stage, Start, StrategyName, Transfer

__all__ = [
    "STAGES",
    "BatchNorm",
    "Data",
    "Evaluate",
    "Mirror",
    "Model",
    "Phase",
    "RunConfig",
    "Schedule",
    "Stage",
    "Start",
    "StrategyName",
    "Synthetic",
    "Train",
    "Transfer",
    "dump_config",
    "load_config",
    "make_config",
    "parse_value",
    "read_yaml",
]
