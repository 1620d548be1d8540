"""The one table of baselines."""

from __future__ import annotations

import importlib
from typing import Any

from or_envs.core import AnyProblem

#: Name -> "module:factory". A factory ``(problem, seed, **settings)`` returns a rule
#: ``(instance, state) -> actions`` or a solver with ``solve``; what it tunes, it tunes before it
#: returns.
TABLE = {
    "lot_sizing/idle": "baselines.lot_sizing.factories:idle",
    "lot_sizing/random": "baselines.common.random_rule:RandomRule",
    "lot_sizing/keep_setup": "baselines.lot_sizing.factories:keep_setup",
    "lot_sizing/static": "baselines.lot_sizing.factories:static",
    "lot_sizing/greedy": "baselines.lot_sizing.tuning:tune",
    "lot_sizing/genetic": "baselines.lot_sizing.genetic:evolve",
    "lot_sizing/rolling_horizon": "baselines.lot_sizing.rolling_horizon:RollingHorizonMean",
    "lot_sizing/dynamic_programming": "baselines.lot_sizing.dynamic_programming:optimal_policy",
    "lot_sizing/optimal_value": "baselines.lot_sizing.dynamic_programming:OptimalValue",
    "lot_sizing/perfect_information": "baselines.lot_sizing.milp:PerfectInformation",
    "routing/random": "baselines.common.random_rule:RandomRule",
    "routing/nearest_neighbour": "baselines.routing.factories:nearest_neighbour",
    "routing/fast_tsp": "baselines.routing.fast_tsp:FastTSP",
    "routing/genetic": "baselines.routing.genetic:GeneticTSP",
}


def make(name: str, problem: AnyProblem, seed: int = 0, **settings: Any) -> Any:
    """Build a rule or solver, and tune it if it has parameters to tune.

    Parameters
    ----------
    name
        A key of :data:`TABLE`.
    problem
        The problem that it is for.
    seed
        Seed of whatever is random in it.
    settings
        Further arguments of the factory.

    Raises
    ------
    ValueError
        If the name is unknown.
    ImportError
        If the baseline needs an extra that is not installed.
    """
    if name not in TABLE:
        raise ValueError(f"name: expected one of {', '.join(TABLE)}, got {name!r}")
    module, factory = TABLE[name].split(":")
    return getattr(importlib.import_module(module), factory)(problem, seed, **settings)
