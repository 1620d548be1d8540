"""Hyper-parameters of the agents: one YAML file per algorithm, with rl-zoo3's key names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.config import read_yaml
from benchmarks.errors import UserError

_OWN = ("n_envs", "n_timesteps", "policy", "reward_scale")
_ACTIVATIONS = {"elu": "ELU", "gelu": "GELU", "relu": "ReLU", "silu": "SiLU", "tanh": "Tanh"}


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """All that a training needs beside environment and seed.

    Attributes
    ----------
    n_envs, n_timesteps, policy
        As in rl-zoo3: environments side by side, training budget in steps, name of the policy.
    reward_scale
        What the agent sees is the reward times this; reported costs never are scaled.
    algorithm
        Arguments of the algorithm's class.
    """

    n_envs: int
    n_timesteps: int
    policy: str
    reward_scale: float
    algorithm: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("n_envs", "n_timesteps"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(f"hyperparams: {name}: expected an integer >= 1, got {value!r}")
        if not isinstance(self.reward_scale, int | float) or not self.reward_scale > 0:
            raise UserError(
                f"hyperparams: reward_scale: expected a number > 0, got {self.reward_scale!r}"
            )

    def flat(self) -> dict[str, Any]:
        """The same as one mapping, as in the YAML file."""
        return {name: getattr(self, name) for name in _OWN} | self.algorithm

    def arguments(self) -> dict[str, Any]:
        """Arguments of the algorithm's class, names of torch classes looked up."""
        arguments = dict(self.algorithm)
        for name in ("learning_rate", "clip_range"):
            if isinstance(arguments.get(name), str):
                arguments[name] = _schedule(name, arguments[name])
        if "policy_kwargs" in arguments:
            arguments["policy_kwargs"] = policy_arguments(arguments["policy_kwargs"])
        return arguments


def _schedule(name: str, value: str) -> Any:
    """rl-zoo3's "lin_0.001": linear from there to 0 at the end of training."""
    from stable_baselines3.common.utils import LinearSchedule

    number = value.removeprefix("lin_")
    try:
        start = float(number) if number != value else math.nan
    except ValueError:
        start = math.nan
    if not 0 < start < math.inf:
        raise UserError(
            f"hyperparams: {name}: expected a number or 'lin_NUMBER' with a number > 0,"
            f" got {value!r}"
        )
    return LinearSchedule(start, 0.0, 1.0)


def policy_arguments(policy_kwargs: Any) -> dict[str, Any]:
    """Arguments of a policy, names of torch classes looked up.

    Raises
    ------
    UserError
        If it is not a mapping, or the activation function is unknown.
    """
    if not isinstance(policy_kwargs, Mapping):
        raise UserError(
            "hyperparams: policy_kwargs: expected a mapping (never code, such as rl-zoo3's"
            f" 'dict(...)'), got {policy_kwargs!r}"
        )
    arguments = dict(policy_kwargs)
    if "activation_fn" in arguments:
        arguments["activation_fn"] = _activation(arguments["activation_fn"])
    return arguments


def _activation(name: Any) -> Any:
    import torch

    if name not in _ACTIVATIONS:
        raise UserError(
            "hyperparams: policy_kwargs: activation_fn: expected one of"
            f" {', '.join(_ACTIVATIONS)}, got {name!r}"
        )
    return getattr(torch.nn, _ACTIVATIONS[name])


def _folder() -> Path:
    return Path(str(resources.files("benchmarks"))) / "hyperparameters"


def agents() -> list[str]:
    """Agents that can be trained: those with a hyper-parameter file."""
    return sorted(path.stem for path in _folder().glob("*.yml"))


def path(algorithm: str) -> Path:
    """File of an agent's hyper-parameters; rl-zoo3 reads it as well."""
    return _folder() / f"{algorithm}.yml"


def space_path(algorithm: str) -> Path:
    """File of what tuning may choose for an agent."""
    return _folder() / "spaces" / f"{algorithm}.yml"


def preset_path(name: str) -> Path:
    """File of presets, shared by contestants of suites."""
    return _folder() / "presets" / f"{name}.yml"


def _preset(name: str) -> dict[str, Any]:
    file, _, section = name.partition("/")
    known = sorted(path.stem for path in preset_path(file).parent.glob("*.yml"))
    if file not in known:
        raise UserError(f"preset: expected FILE/SECTION, FILE one of {', '.join(known)}: {name!r}")
    sections = read_yaml(preset_path(file))
    if section not in sections:
        raise UserError(f"preset: {file} has {', '.join(sections)}, but no {section!r}")
    values: dict[str, Any] = sections[section]
    return values


def load(
    algorithm: str, env_id: str, overrides: Mapping[str, Any], preset: str = ""
) -> Hyperparameters:
    """Hyper-parameters for an environment.

    Later ones win: ``default``, the id's own, the section "FILE/SECTION" of a preset, overrides.

    Raises
    ------
    UserError
        If the algorithm or the preset is unknown, or a value is out of range.
    """
    if algorithm not in agents():
        raise UserError(f"algo: unknown {algorithm!r}; allowed are {', '.join(agents())}")
    sections = read_yaml(path(algorithm))
    presets = _preset(preset) if preset else {}
    values = {**sections["default"], **sections.get(env_id, {}), **presets, **overrides}
    own = {name: values.pop(name) for name in _OWN}
    return Hyperparameters(**own, algorithm=values)
