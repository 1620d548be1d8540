"""From an environment id and ``k:v`` options to a problem, with errors a user can act on."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

import or_envs
from benchmarks.errors import UserError
from or_envs.core.problem import AnyProblem


def env_ids() -> list[str]:
    """Ids that are problems of this library, own registrations included."""
    return sorted(id for id, spec in gym.registry.items() if "problem" in spec.kwargs)


def problem_class(env_id: str) -> type[AnyProblem]:
    """Class behind an id of :func:`env_ids`."""
    module, _, name = gym.spec(env_id).kwargs["problem"].partition(":")
    found: type[AnyProblem] = getattr(importlib.import_module(module), name)
    return found


def family(env_id: str) -> str:
    """Package of the problem, such as "or_envs.routing"; baselines are named within it."""
    module: str = gym.spec(env_id).kwargs["problem"].partition(":")[0]
    return module.rpartition(".")[0]


def options(env_id: str) -> dict[str, Any]:
    """Options of an environment and their default values."""
    parameters = inspect.signature(problem_class(env_id)).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def build_problem(env_id: str, env_kwargs: Mapping[str, Any]) -> AnyProblem:
    """Build a problem.

    Raises
    ------
    UserError
        If the id is unknown, or an option is unknown or has a wrong value.
    """
    known = env_ids()
    if env_id not in known:
        raise UserError(f"env: unknown id {env_id!r}; allowed are {', '.join(known)}")
    allowed = options(env_id)
    for key in env_kwargs:
        if key not in allowed:
            raise UserError(
                f"env-kwargs: {env_id} has no option {key!r}; allowed are {', '.join(allowed)}"
            )
    try:
        return or_envs.make_problem(env_id, **env_kwargs)
    except ValueError as error:
        raise UserError(f"env-kwargs: {error}") from error


def default_label(env_id: str, env_kwargs: Mapping[str, Any]) -> str:
    """What the ``instance`` column shows: "15x5", or "num_cities=20"."""
    if set(env_kwargs) == {"instance"}:
        return str(env_kwargs["instance"])
    if not env_kwargs:
        env_kwargs = {k: v for k, v in options(env_id).items() if k == "instance"}
        return str(env_kwargs.get("instance", "default"))
    return ", ".join(f"{key}={value}" for key, value in env_kwargs.items())


def digest(problem: AnyProblem, first_seed: int, episodes: int) -> str:
    """Fingerprint of the data of the episodes: equal digests, equal instances and traces."""
    hasher = hashlib.sha256()
    for part in or_envs.sample(problem, first_seed, episodes):
        if part is None:
            continue
        for name, leaf in zip(part.names(), part.leaves(), strict=True):
            array = np.ascontiguousarray(leaf)
            hasher.update(f"{name} {array.dtype} {array.shape}".encode())
            hasher.update(array.tobytes())
    return hasher.hexdigest()[:16]


def instance_names(env_id: str) -> tuple[str, ...]:
    """Shipped instances of an environment: ``NAMES`` of the ``instances`` module beside it."""
    module = problem_class(env_id).__module__.rpartition(".")[0] + ".instances"
    if importlib.util.find_spec(module) is None:
        return ()
    names: tuple[str, ...] = getattr(importlib.import_module(module), "NAMES", ())
    return names
