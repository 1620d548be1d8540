"""Rules and exact methods on the variants of lot-sizing, and the companion instance's figures."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from baselines.common.random_rule import RandomRule
from baselines.lot_sizing.dynamic_programming import ExactDP, optimal_policy
from baselines.lot_sizing.milp import PerfectInformation
from baselines.lot_sizing.rules import GreedyCover, Idle
from or_envs.core import sample, simulate
from or_envs.lot_sizing.known_demand import KnownDemandLotSizing
from or_envs.lot_sizing.problem import LotSizing
from or_envs.lot_sizing.seasonal import SeasonalLotSizing
from or_envs.lot_sizing.sequence_dependent import SequenceDependentLotSizing


def test_costs_of_the_companion_instance() -> None:
    """10x5 from random starts over 10 periods: greedy 78.35 +- 0.17, random 207.5, idle 157.13.

    Idling is exact: the law of each stock is propagated over the periods.
    """
    problem = LotSizing("10x5")
    published = LotSizing("10x5", allow_invalid=True)
    instance, demand = sample(problem, 0, 4000)
    free = RandomRule(published, 0)

    def mean_and_error(played: LotSizing, rule: object) -> tuple[float, float]:
        cost = -simulate(played, rule, instance, demand).total_reward  # type: ignore[arg-type]
        return cost.mean(), cost.std(ddof=1) / np.sqrt(len(cost))

    law = instance.demand_probability[0, 0]
    stock, expected = np.full(10, 0.1), 0.0
    for _ in range(10):
        following = np.zeros(10)
        for (units, mass), (wanted, chance) in itertools.product(enumerate(stock), enumerate(law)):
            left = max(units - wanted, 0)
            following[left] += mass * chance
            lost = 1.3 * max(wanted - units, 0)  # mean lost-sales cost: 13 for 10 items
            expected += 10 * mass * chance * (lost + 0.1 * left)
        stock = following
    cost, error = mean_and_error(problem, Idle())
    assert abs(cost - expected) < 4 * error
    assert expected == pytest.approx(157.131075, abs=1e-6)
    cost, error = mean_and_error(problem, GreedyCover(1.5, 0.6, 0.5))
    assert abs(cost - 78.35) < 3 * np.hypot(error, 0.17)
    cost, error = mean_and_error(published, free)
    assert cost == pytest.approx(207.5, abs=1.0)


def test_dynamic_programming_of_change_overs_that_depend_on_the_sequence(tmp_path: Path) -> None:
    """The optimum over 3 periods equals a recursion over every decision and demand."""
    data = json.loads((Path(__file__).parents[3] / "or_envs/lot_sizing/data/VI-A.json").read_text())
    data["setup_costs"] = [[[0, 1, 0.3], [0.1, 0, 2], [0.2, 0.5, 0]]]
    data["setup_loss"] = [[[0, 1, 2], [0, 0, 3], [0, 1, 0]]]
    data["time_horizon"] = 3
    path = tmp_path / "sequence.json"
    path.write_text(json.dumps(data))
    problem = SequenceDependentLotSizing(str(path), start="given")
    cost, loss = data["setup_costs"][0], data["setup_loss"][0]

    def optimum(stock: tuple[int, int], setup: int, periods: int) -> float:
        if periods == 0:
            return 0.0
        values = []
        for item in range(3):
            made = list(stock)
            if item:
                made[item - 1] += 3 - loss[setup][item]
            value = cost[setup][item]
            for demand in itertools.product((0, 1), repeat=2):
                left = [min(max(i - d, 0), 5) for i, d in zip(made, demand, strict=True)]
                lost = sum(max(d - i, 0) for i, d in zip(made, demand, strict=True))
                after = optimum((left[0], left[1]), item, periods - 1)
                value += (2 * lost + 0.1 * sum(left) + after) / 4
            values.append(value)
        return min(values)

    instance, _ = sample(problem, 0, 1)
    value = optimal_policy(problem).value(problem.initial(instance))[0]
    assert value == pytest.approx(optimum((0, 0), 0, 3), abs=1e-12)


@pytest.mark.parametrize("kind", [SeasonalLotSizing, KnownDemandLotSizing])
def test_dynamic_programming_refuses_changing_demand(kind: type[LotSizing]) -> None:
    problem = kind("VI-A", horizon=4)
    instance, _ = sample(problem, 0, 1)
    with pytest.raises(ValueError, match="needs stationary demand"):
        ExactDP(problem, instance)


@pytest.mark.parametrize(
    "problem", [SeasonalLotSizing(), SequenceDependentLotSizing(), KnownDemandLotSizing()]
)
def test_greedy_rule_plays_the_variants(problem: LotSizing) -> None:
    """On the mean data that the instances keep for rules, far better than idling."""
    instance, demand = sample(problem, 0, 100)
    greedy = simulate(problem, GreedyCover(2.0, 0.3, 4.0), instance, demand).total_reward.mean()
    idle = simulate(problem, Idle(), instance, demand).total_reward.mean()
    assert -greedy < 0.9 * -idle


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_perfect_information_solves_known_demand(seed: int) -> None:
    """The optimum is that of all 3^5 plans, and its replay costs what the solver says."""
    problem = KnownDemandLotSizing("VI-C", horizon=5)
    instance, exogenous = sample(problem, seed, 1)
    assert exogenous is None
    solution = PerfectInformation(problem).solve(instance)
    plans = np.array(list(itertools.product(range(3), repeat=5)))[:, :, None]
    many = instance.rows(np.zeros(len(plans), dtype=int))
    best = -simulate(problem, plans, many).total_reward.max()
    assert solution.actions is not None
    replayed = -simulate(problem, solution.actions[None], instance).total_reward[0]
    assert solution.objective == pytest.approx(best, abs=1e-6)
    assert replayed == pytest.approx(best, abs=1e-6)
    assert solution.status == "optimal"


def test_perfect_information_of_the_variants() -> None:
    """A seasonal trace is a trace like any; sequence-dependent change-overs are refused."""
    problem = SeasonalLotSizing("VI-C", season=4, horizon=4)
    instance, demand = sample(problem, 0, 1)
    solution = PerfectInformation(problem).solve(instance, demand)
    plans = np.array(list(itertools.product(range(3), repeat=4)))[:, :, None]
    rows = np.zeros(len(plans), dtype=int)
    costs = -simulate(problem, plans, instance.rows(rows), demand.rows(rows)).total_reward
    assert solution.objective == pytest.approx(costs.min(), abs=1e-6)
    with pytest.raises(ValueError, match="no change-overs that depend on the old setup"):
        PerfectInformation(SequenceDependentLotSizing())
