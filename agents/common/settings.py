"""Constructor settings of algorithms as JSON: numbers, lists, schedules, activation functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule

#: The only classes that a file may name.
ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    cls.__name__: cls
    for cls in (
        torch.nn.ELU,
        torch.nn.GELU,
        torch.nn.LeakyReLU,
        torch.nn.ReLU,
        torch.nn.SiLU,
        torch.nn.Tanh,
    )
}


def setting_to_json(name: str, value: Any) -> Any:
    """Describe a setting by what JSON can hold.

    Raises
    ------
    ValueError
        If it is a function or an object that cannot be described; ``name`` says which setting.
    """
    if isinstance(value, FloatSchedule):
        return setting_to_json(name, value.value_schedule)
    if isinstance(value, ConstantSchedule):
        return value.val
    if isinstance(value, LinearSchedule):
        return {"linear": [value.start, value.end, value.end_fraction]}
    if isinstance(value, TrainFreq):
        return {"train_freq": [value.frequency, value.unit.value]}
    if value in ACTIVATIONS.values():
        return {"activation": value.__name__}
    if isinstance(value, dict):
        return {key: setting_to_json(f"{name}.{key}", part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [setting_to_json(name, part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{name}: cannot be saved without running code when it is loaded: {value!r}; use numbers,"
        f" LinearSchedule, or one of the activation functions {', '.join(ACTIVATIONS)}"
    )


def setting_from_json(name: str, value: Any) -> Any:
    """Build the setting that :func:`setting_to_json` described.

    Raises
    ------
    ValueError
        If it names an unknown activation function.
    """
    if isinstance(value, list):
        return [setting_from_json(name, part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"linear"}:
        return LinearSchedule(*value["linear"])
    if value.keys() == {"train_freq"}:
        return tuple(value["train_freq"])
    if value.keys() == {"activation"}:
        if value["activation"] not in ACTIVATIONS:
            raise ValueError(f"{name}: unknown activation function {value['activation']!r}")
        return ACTIVATIONS[value["activation"]]
    return {key: setting_from_json(f"{name}.{key}", part) for key, part in value.items()}
