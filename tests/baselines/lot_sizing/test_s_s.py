from __future__ import annotations

import numpy as np
import pytest

from baselines.lot_sizing.rules import Idle
from baselines.lot_sizing.s_s import StartStop, evolve, thresholds
from or_envs.core import sample, simulate
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState


def reference(instance: LotSizingInstance, state: LotSizingState, low: np.ndarray, up: np.ndarray):
    """The rule of one row in plain Python, from its description."""
    p, c = instance.production[0], instance.setup_cost[0]
    stock = state.inventory[0]
    action = [0] * len(p)
    for m, item in enumerate(state.setup[0]):
        if item > 0 and p[m, item - 1] > 0 and stock[item - 1] < up[item - 1]:
            action[m] = int(item)
    weight = instance.lost_sales_cost[0] * instance.mean_demand[0] / (1 + stock)
    waiting = [i for i in range(len(stock)) if stock[i] <= low[i] and i + 1 not in action]
    for i in sorted(waiting, key=lambda i: -weight[i]):
        free = [m for m in range(len(p)) if action[m] == 0 and p[m, i] > 0]
        if free:
            action[min(free, key=lambda m: c[m, i] / p[m, i])] = i + 1
    return action


@pytest.mark.parametrize("name", ["15x5", "25x10", "random"])
def test_kernel_follows_the_description(name: str) -> None:
    problem = LotSizing(name, horizon=30)
    instance, demand = sample(problem, 0, 8)
    n = problem.n_items
    rng = np.random.default_rng(0)
    low, up = rng.uniform(-10, 60, (8, n)), rng.uniform(20, 110, (8, n))
    seen = []

    def compare(instance: LotSizingInstance, state: LotSizingState) -> np.ndarray:
        action = StartStop(low, up)(instance, state)
        for row in range(8):
            one = slice(row, row + 1)
            expected = reference(instance.rows(one), state.rows(one), low[row], up[row])
            assert action[row].tolist() == expected
            seen.append(expected)
        return action

    simulate(problem, compare, instance, demand)
    assert len({tuple(action) for action in seen}) > 30


def test_by_hand() -> None:
    """VI-A: item 1 starts at 1 or less, runs until 3, and item 2 gets the machine only then."""
    problem = LotSizing("VI-A")
    instance, _ = sample(problem, 0, 1)
    rule = StartStop(np.array([1.0, 0.0]), np.array([3.0, 9.0]))

    def decide(stock: tuple[float, float], setup: int) -> int:
        state = LotSizingState(np.array([stock]), np.array([[setup]]), np.zeros(1, dtype=int))
        return int(rule(instance, state)[0, 0])

    assert decide((2, 1), 0) == 0
    assert decide((1, 1), 0) == 1
    assert decide((2, 0), 1) == 1
    assert decide((3, 0), 1) == 2
    assert decide((3, 1), 1) == 0
    assert decide((0, 5), 2) == 2  # never stops: S is above the cap
    assert decide((1, 0), 0) == 2  # the emptier store first
    assert rule.settings == {"start_at": [1.0, 0.0], "stop_at": [3.0, 9.0]}


def test_genes() -> None:
    rule = thresholds(np.array([0.2, -0.1, 0.5, 1.2]), np.array([100.0, 50.0]))
    np.testing.assert_allclose(rule.start_at, [20, -5])
    np.testing.assert_allclose(rule.stop_at, [60, 61])


def test_tuned_rule_is_good_where_the_optimum_is_known() -> None:
    """VI-A, T = 10, zero start: the optimum is 8.357; idling costs 20."""
    problem = LotSizing("VI-A", horizon=10, start="given")
    rule = evolve(problem, population=20, generations=10, num_episodes=100)
    instance, demand = sample(problem, 0, 2000)
    cost = -simulate(problem, rule, instance, demand).total_reward
    error = cost.std(ddof=1) / np.sqrt(2000)
    assert 8.356917 - 4 * error < cost.mean() < 9.2
    idle = -simulate(problem, Idle(), instance, demand).total_reward
    assert idle.mean() == pytest.approx(20, abs=0.3)
    same = evolve(problem, population=20, generations=10, num_episodes=100)
    assert same.settings == rule.settings


def test_random_instances_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(s, S\) thresholds need one fixed instance"):
        evolve(LotSizing("random"))
