from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from baselines.lot_sizing.dynamic_programming import optimal_policy
from baselines.lot_sizing.lagrangian import (
    Item,
    LagrangianBound,
    LagrangianRelaxation,
    fixed_instance,
    split,
)
from baselines.lot_sizing.rules import GreedyCover
from or_envs.core import sample, simulate
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing


def mean_over_random_starts(bound: LagrangianBound) -> float:
    """Exact mean for stocks U{0..cap - 1} and setups uniform over what a machine can make."""
    relaxation = bound.relaxation
    makeable = (relaxation.instance.production[0] > 0).sum(axis=1)
    total = -relaxation.prices.sum()
    for item, values in zip(relaxation.items, bound._values, strict=True):
        on = np.arange(item.masks)[:, None] >> np.arange(len(item.machines)) & 1
        chance = 1 / makeable[item.machines]
        probability = np.where(on == 1, chance, 1 - chance).prod(axis=1)
        total += probability @ values[:, : item.cap].mean(axis=1)
    return float(total)


def brute_force(item: Item, prices: np.ndarray, stock: int, setup: frozenset[int]) -> float:
    """Cost-to-go of one item by recursion over all actions and demands, as the model says."""
    if len(prices) == 0:
        return 0.0
    best = np.inf
    machines = range(len(item.machines))
    for size in range(len(item.machines) + 1):
        for action in itertools.combinations(machines, size):
            fresh = [m for m in action if m not in setup]
            made = sum(item.output[m] for m in action) - sum(item.loss[m] for m in fresh)
            cost = sum(item.setup_cost[m] for m in fresh) + sum(prices[0, m] for m in action)
            for demand, probability in enumerate(item.law):
                left = stock + made - demand
                after = int(min(max(left, 0), item.cap))
                cost += probability * (
                    item.lost_sales_cost * max(-left, 0)
                    + item.holding_cost * after
                    + brute_force(item, prices[1:], after, frozenset(action))
                )
            best = min(best, cost)
    return best


def test_item_values_are_those_of_brute_force(small) -> None:
    problem, _, _ = small(3, horizon=3)
    relaxation = LagrangianRelaxation(problem, iterations=0)
    relaxation.prices = np.random.default_rng(0).uniform(0, 1, (3, 2))
    values = relaxation.first_values()
    for number, (item, table) in enumerate(zip(relaxation.items, values, strict=True)):
        assert len(item.machines) == (1 if number == 2 else 2)
        prices = relaxation.prices[:, item.machines]
        for mask, stock in itertools.product(range(item.masks), (0, 1, item.cap)):
            setup = frozenset(m for m in range(len(item.machines)) if mask >> m & 1)
            expected = brute_force(item, prices, stock, setup)
            assert table[mask, stock] == pytest.approx(expected, abs=1e-10)


def test_supergradient_is_the_derivative() -> None:
    problem = LotSizing("15x5", horizon=6)
    relaxation = LagrangianRelaxation(problem, iterations=0)
    starts, _ = sample(problem, 0, 50)
    start = [relaxation._start(starts, i) for i in range(15)]
    prices = np.random.default_rng(1).uniform(0, 1, (6, 5))
    _, gradient = relaxation.evaluate(prices, start)
    assert (gradient > -1).any()
    for t, m in itertools.product((0, 2, 5), range(5)):
        step = np.zeros_like(prices)
        step[t, m] = 1e-6
        up, down = (relaxation.evaluate(prices + s, start)[0] for s in (step, -step))
        assert (up - down) / 2e-6 == pytest.approx(gradient[t, m], abs=1e-6)


@pytest.mark.parametrize("name", ["VI-A", "VI-B", "VI-C"])
def test_never_above_the_optimum(name: str) -> None:
    problem = LotSizing(name, horizon=20)
    optimum = optimal_policy(problem)
    states = optimum.dp.states
    instance = dataclasses.replace(
        optimum.dp.instance, initial_inventory=states.inventory, initial_setup=states.setup
    )
    best = optimum.value(states)
    for iterations in (0, 100):
        bound = LagrangianBound(problem, 0, iterations).value(instance)
        assert (bound <= best + 1e-9).all()
    assert bound.mean() > 0.9 * best.mean()


def test_checked_values_of_vi_a() -> None:
    for horizon, value in ((100, 61.099490), (10, 5.815098)):
        bound = LagrangianBound(LotSizing("VI-A", horizon=horizon), iterations=0)
        assert mean_over_random_starts(bound) == pytest.approx(value, abs=1e-6)


def test_published_instance(published) -> None:
    problem = LotSizing(str(published / "15x5.json"))
    free = LagrangianBound(problem, iterations=0)
    assert mean_over_random_starts(free) == pytest.approx(1163.4, abs=0.05)
    free.relaxation.prices[:] = [0.564, 0.547, 0.243, 0, 0]
    free._values = free.relaxation.first_values()
    assert mean_over_random_starts(free) == pytest.approx(1271.6, abs=0.05)
    best = LagrangianBound(problem, iterations=40)
    assert mean_over_random_starts(best) > 1370
    instance, demand = sample(problem, 50_000, 300)
    cost = -simulate(problem, GreedyCover(2, 0.3, 4), instance, demand).total_reward
    difference = cost - best.value(instance)
    assert difference.mean() - 3 * difference.std() / np.sqrt(300) > 0


def test_search_raises_the_bound_and_is_reproducible() -> None:
    problem = LotSizing("15x5", horizon=20)
    instance, _ = sample(problem, 5, 200)
    means = [LagrangianBound(problem, 0, k).value(instance).mean() for k in (0, 10, 30, 30)]
    assert means[0] < means[1] < means[2] == means[3]
    prices = LagrangianRelaxation(problem, 0, 10).prices
    assert (prices >= 0).all()
    assert prices.max() > 0


def test_solution() -> None:
    problem = LotSizing("VI-A", horizon=5)
    bound = LagrangianBound(problem)
    instance, demand = sample(problem, 0, 1)
    solution = bound.solve(instance, demand)
    assert solution.bound == solution.objective == bound.value(instance)[0]
    assert solution.actions is None
    half = dataclasses.replace(instance, initial_inventory=instance.initial_inventory + 0.5)
    with pytest.raises(ValueError, match="whole units"):
        bound.solve(half)
    with pytest.raises(ValueError, match="not those of the problem"):
        bound.solve(dataclasses.replace(instance, setup_cost=2 * instance.setup_cost))


def test_what_it_does_not_model_is_refused() -> None:
    class Other(LotSizing):
        pass

    with pytest.raises(ValueError, match="plain LotSizing, got Other"):
        fixed_instance(Other("VI-A"))
    with pytest.raises(ValueError, match="allow_invalid"):
        fixed_instance(LotSizing("VI-A", allow_invalid=True))
    with pytest.raises(ValueError, match="one fixed instance"):
        fixed_instance(LotSizing("random", n_items=2, n_machines=1))
    with pytest.raises(ValueError, match="iterations"):
        LagrangianRelaxation(LotSizing("VI-A"), iterations=-1)


def test_too_many_machines_are_refused() -> None:
    wide = sample(LotSizing("random", n_items=2, n_machines=40), 0, 1)[0]
    assert isinstance(wide, LotSizingInstance)
    with pytest.raises(ValueError, match="at most 14 machines"):
        split(wide)
