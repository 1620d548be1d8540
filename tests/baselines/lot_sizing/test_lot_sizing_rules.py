from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from baselines.lot_sizing.rules import GreedyCover, Idle, KeepSetup, StaticAssignment
from or_envs.core import sample, simulate
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingState

SHIPPED = ("15x5", "20x10", "25x10", "25x15")
#: Seeds of evaluation in this file; training episodes start at 10^9.
SEED = 50_000

#: Published instance: cost of the static assignment, cost of greedy, its (R, kappa, b).
PUBLISHED = {
    "15x5": (2119.3, 1536.1, (2, 0.3, 4)),
    "20x10": (1923.5, 1893.8, (3, 0.6, 0.5)),
    "25x10": (5314.1, 2868.9, (2, 0.2, 4)),
    "25x15": (2525.2, 2382.3, (2, 0.35, 0.5)),
}


def costs(problem: LotSizing, rule, num: int, **data: np.ndarray) -> np.ndarray:
    instance, demand = sample(problem, SEED, num)
    instance = dataclasses.replace(instance, **data)
    return -simulate(problem, rule, instance, demand).total_reward


def assert_mean(values: np.ndarray, expected: float) -> None:
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - expected) <= 3 * error


@pytest.mark.parametrize("name", SHIPPED)
def test_idle_loses_what_the_formula_says(name: str) -> None:
    problem = LotSizing(name)
    n = problem.n_items
    rho = sample(problem, 0, 1)[0].lost_sales_cost.sum()
    free = np.zeros((1, n))
    # T E[D] - E[I_0] = 100 * 8 - 49.5 units of every item are lost.
    assert_mean(costs(problem, Idle(), 400, holding_cost=free), 750.5 * rho)
    empty = np.zeros((400, n))
    assert_mean(costs(problem, Idle(), 400, initial_inventory=empty), 800 * rho)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_costs_of_static_and_greedy(name: str, published: Path) -> None:
    problem = LotSizing(str(published / f"{name}.json"))
    static, greedy, parameters = PUBLISHED[name]
    assert costs(problem, StaticAssignment(), 400).mean() == pytest.approx(static, rel=0.01)
    assert costs(problem, GreedyCover(*parameters), 400).mean() == pytest.approx(greedy, rel=0.01)


def test_published_static_assignment(published: Path) -> None:
    instance, _ = sample(LotSizing(str(published / "15x5.json")), 0, 1)
    assert sorted(StaticAssignment.assignment(instance)[0]) == [5, 7, 10, 12, 14]


def test_no_policy_beats_the_lagrangian_bound(published: Path) -> None:
    problem = LotSizing(str(published / "15x5.json"))
    assert costs(problem, GreedyCover(2, 0.3, 4), 400).mean() > 1271.6


def random_states(problem: LotSizing, num: int) -> tuple[LotSizingInstance, LotSizingState]:
    instance, _ = sample(problem, 7, num)
    rng = np.random.default_rng(0)
    inventory = np.floor(rng.random((num, problem.n_items)) * 40)
    setup = rng.integers(0, problem.n_items + 1, (num, problem.n_machines))
    return instance, LotSizingState(inventory, setup, np.zeros(num, dtype=np.int64))


def scalar_greedy(instance, state, row: int, cover: float, weight: float, bonus: float):
    """The rule as it is stated, one pair at a time."""
    data = {name: getattr(instance, name) for name in instance.names()}
    data = {k: v[row if len(v) > 1 else 0] for k, v in data.items()}
    mean = instance.mean_demand[row if len(instance.mean_demand) > 1 else 0]
    stock, setup = state.inventory[row].copy(), state.setup[row]
    action = np.zeros(len(setup), dtype=int)
    free = set(range(len(setup)))
    while free:
        best = (0.0, -1, -1, 0.0)
        for m, i in itertools.product(sorted(free), range(len(stock))):
            p = data["production"][m, i]
            if p == 0:
                continue
            new = setup[m] != i + 1
            q = p - min(p, data["setup_loss"][m, i]) * new
            top = mean[i] * cover
            gain = data["lost_sales_cost"][i] * (min(stock[i] + q, top) - min(stock[i], top))
            gain += -weight * data["setup_cost"][m, i] if new else bonus
            if gain > best[0] + 1e-12:
                best = (gain, m, i, q)
        if best[1] < 0:
            break
        _, m, i, q = best
        stock[i] += q
        action[m] = i + 1
        free.remove(m)
    return action


@pytest.mark.parametrize("name", ["random", "15x5", "25x15"])
def test_greedy_kernel_is_the_rule_as_stated(name: str) -> None:
    problem = LotSizing(name)
    instance, state = random_states(problem, 60)
    rng = np.random.default_rng(1)
    # Irrational parameters: no two pairs tie but by their data.
    parameters = rng.uniform([0.5, 0, 0], [5, 1, 8], (60, 3)) + np.sqrt(2) / 100
    actions = GreedyCover(*parameters.T)(instance, state)
    for row in range(60):
        assert (actions[row] == scalar_greedy(instance, state, row, *parameters[row])).all()
    assert (actions > 0).any()
    assert (actions == 0).any()


def test_parameters_per_row_are_those_of_the_rows() -> None:
    problem = LotSizing("15x5")
    instance, state = random_states(problem, 2)
    both = GreedyCover(np.array([1.0, 4.0]), np.array([0.1, 0.9]), np.array([8.0, 0.0]))
    first = GreedyCover(1.0, 0.1, 8.0)(instance, state)[0]
    second = GreedyCover(4.0, 0.9, 0.0)(instance, state)[1]
    assert np.array_equal(both(instance, state), [first, second])


def test_greedy_does_not_write_to_the_state() -> None:
    instance, state = random_states(LotSizing("15x5"), 5)
    before = state.inventory.copy()
    GreedyCover(2, 0.3, 4)(instance, state)
    assert np.array_equal(state.inventory, before)


def test_keep_setup_keeps_what_can_be_made() -> None:
    problem = LotSizing("15x5")
    instance, state = random_states(problem, 200)
    action = KeepSetup()(instance, state)
    can = np.concatenate([np.zeros((5, 1)), instance.production[0]], axis=1) > 0
    kept = can[np.arange(5), state.setup]
    assert kept.any()
    assert not kept.all()
    assert np.array_equal(action, np.where(kept, state.setup, 0))


def test_static_assignment_is_optimal_by_enumeration(small) -> None:
    for seed in range(5):
        _, instance, _ = small(seed)
        gain = instance.lost_sales_cost[0] * np.minimum(
            instance.production[0], instance.mean_demand[0]
        )
        best = max(gain[0, i] + gain[1, j] for i, j in itertools.permutations(range(3), 2))
        items = StaticAssignment.assignment(instance)[0]
        assert sum(gain[m, i - 1] for m, i in enumerate(items) if i) == pytest.approx(best)
        assert len(set(items[items > 0])) == (items > 0).sum()


def test_static_assignment_of_different_instances() -> None:
    problem = LotSizing("random", n_items=4, n_machines=2)
    instance, state = sample(problem, 0, 3)[0], random_states(problem, 3)[1]
    rule = StaticAssignment()
    together = rule(instance, state)
    other, _ = sample(problem, 100, 3)
    rule(other, state)
    alone = [rule(instance.rows(np.array([r])), state.rows(np.array([r])))[0] for r in range(3)]
    assert np.array_equal(together, alone)
    assert np.array_equal(rule(instance, state), together)
