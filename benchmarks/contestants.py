"""Who can play: agents, baselines, and own factories named "module:factory"."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from benchmarks.errors import UserError
from benchmarks.hyperparameters import agents
from or_envs.core.problem import AnyProblem


def baselines() -> list[str]:
    """Names of the baselines of all problems."""
    from baselines.registration import TABLE

    return sorted(TABLE)


def is_agent(name: str) -> bool:
    """Whether a contestant has to be trained."""
    return name in agents()


#: Contestants that play what was trained before.
_TRAINED = ("benchmarks.players:trained", "benchmarks.players:TrainedSearch")


def is_learned(name: str) -> bool:
    """Whether a contestant was, or is to be, trained."""
    return is_agent(name) or name in _TRAINED


def check_name(name: str) -> None:
    """Refuse an unknown contestant.

    Raises
    ------
    UserError
        With the names that are allowed.
    """
    if is_agent(name) or ":" in name or name in baselines():
        return
    raise UserError(
        f"unknown contestant {name!r}; allowed are the agents {', '.join(agents())}, the baselines"
        f" {', '.join(baselines())}, and own ones as 'module:factory'"
    )


def make(name: str, problem: AnyProblem, seed: int, settings: Mapping[str, Any]) -> Any:
    """Build a baseline or an own contestant: a rule or a solver, tuned and ready to play."""
    if ":" in name:
        module, _, factory = name.partition(":")
        return getattr(importlib.import_module(module), factory)(problem, seed, **settings)
    from baselines.registration import make as make_baseline

    return make_baseline(name, problem, seed=seed, **settings)
