"""Scenario trees of demand: what may happen over the next periods, and what is known when."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from or_envs.core.sampling import invert
from or_envs.lot_sizing.instances import LotSizingInstance


@dataclasses.dataclass(frozen=True)
class ScenarioTree:
    """Decisions and the demand outcomes that follow them.

    K decisions and N outcomes are numbered so that what comes before has the lower number; -1 is
    the present. An outcome is the demand of one period in one scenario; it meets the production of
    its decision. Outcomes that share a decision cannot be told apart when it is taken.

    Attributes
    ----------
    previous_decision
        The decision a period earlier, whose setups a decision finds, (K,).
    previous_outcome
        The outcome a period earlier, whose stock an outcome finds, (N,).
    decision
        The decision of each outcome's period, (N,).
    probability
        Probability of each outcome, (N,); those of one period sum to 1.
    demand
        Units, (N, n).
    """

    previous_decision: np.ndarray
    previous_outcome: np.ndarray
    decision: np.ndarray
    probability: np.ndarray
    demand: np.ndarray

    @functools.cached_property
    def stages(self) -> list[np.ndarray]:
        """Outcomes of each period, in order."""
        depth = np.zeros(len(self.decision), dtype=np.int64)
        for outcome, before in enumerate(self.previous_outcome):
            depth[outcome] = 0 if before < 0 else depth[before] + 1
        return [np.flatnonzero(depth == stage) for stage in range(depth.max() + 1)]

    @property
    def leaves(self) -> np.ndarray:
        """Outcomes of the last period."""
        return self.stages[-1]

    def has_shape_of(self, other: ScenarioTree) -> bool:
        """Whether two trees differ in demand and probabilities at most."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("previous_decision", "previous_outcome", "decision")
        )


def fan(demand: np.ndarray) -> ScenarioTree:
    """Equally likely paths (S, T, n) under one plan for all periods (two stages).

    One path, (1, T, n), is the deterministic problem.
    """
    num, periods, n = demand.shape
    outcome = np.arange(num * periods)
    return ScenarioTree(
        previous_decision=np.arange(periods) - 1,
        previous_outcome=np.maximum(outcome - num, -1),
        decision=outcome // num,
        probability=np.full(num * periods, 1 / num),
        demand=demand.transpose(1, 0, 2).reshape(-1, n),
    )


def tree(stages: Sequence[tuple[np.ndarray, np.ndarray]]) -> ScenarioTree:
    """Decisions that know all demand before them (multistage).

    Parameters
    ----------
    stages
        Demand (b, n) and probabilities (b,) of each period, the same after every past: demand is
        independent over periods.
    """
    parents = np.array([-1])  # outcomes of the period before; a decision follows each of them
    previous_decision, previous_outcome, decision, probability, demand = [], [], [], [], []
    first_outcome = first_decision = 0
    before, likelihood = np.array([-1]), np.ones(1)  # decisions that led to the parents
    for units, share in stages:
        b = len(units)
        own = first_decision + np.arange(len(parents))
        previous_decision.append(before)
        previous_outcome.append(np.repeat(parents, b))
        decision.append(np.repeat(own, b))
        likelihood = np.outer(likelihood, share).ravel()
        probability.append(likelihood)
        demand.append(np.tile(units, (len(parents), 1)))
        before = np.repeat(own, b)
        first_decision += len(parents)
        parents = first_outcome + np.arange(len(parents) * b)
        first_outcome += len(parents)
    return ScenarioTree(
        *map(
            np.concatenate,
            (previous_decision, previous_outcome, decision, probability, demand),
        )
    )


def sample_demand(
    instance: LotSizingInstance, rng: np.random.Generator, num: int, periods: int
) -> np.ndarray:
    """Draw equally likely paths (num, periods, n) from the demand law of a batch of one.

    A Latin hypercube sample: in every period, the draws of an item come from ``num`` equally
    likely strata, one each, so that few paths spread over the law. Each path by itself follows
    the law.
    """
    n = instance.demand_probability.shape[1]
    stratum = rng.permuted(np.tile(np.arange(num)[:, None], (1, periods * n)), axis=0)
    draws = (stratum + rng.random(stratum.shape)) / num
    law = np.cumsum(instance.demand_probability, axis=-1)
    return invert(draws.reshape(1, -1, n), law).reshape(num, periods, n)


def forward_selection(
    points: np.ndarray, num: int, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Choose ``num`` of P equally likely points that stand for all of them.

    Fast forward selection (Heitsch and Roemisch, Computational Optimization and Applications 24,
    2003, algorithm 2.4): the next point is the one that brings the sum of the distances to the
    nearest chosen point down most; afterwards every point gives its probability to the nearest
    chosen one.

    Parameters
    ----------
    points
        Demand vectors, (P, n).
    num
        How many, 1..P.
    weight
        Money per unit, (n,): the distance of two points is sum_i weight_i |d_i - d'_i|.

    Returns
    -------
    tuple
        Chosen rows (num,), all different, and their probabilities. Equal points share one
        probability, so that a copy that has to be chosen gets 0.
    """
    scaled = points * weight
    distance = np.abs(scaled[:, None] - scaled[None]).sum(axis=2)
    nearest = np.full(len(points), np.inf)
    chosen: list[int] = []
    for _ in range(num):
        total = np.minimum(nearest[:, None], distance).sum(axis=0)
        total[chosen] = np.inf
        chosen.append(int(total.argmin()))
        nearest = np.minimum(nearest, distance[:, chosen[-1]])
    owner = distance[:, chosen].argmin(axis=1)
    return np.array(chosen), np.bincount(owner, minlength=num) / len(points)
