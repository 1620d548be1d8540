"""Two suppliers and tabular lot-sizing: the settings of the suites pmoe-claim and props-claim."""

import itertools

import numpy as np
import pytest

import or_envs
from baselines.inventory.one_supplier import OneSupplier
from baselines.inventory.tabular_lot_sizing import BackwardInduction, TabularValue
from or_envs.core import simulate
from or_envs.inventory.network import Demand
from or_envs.inventory.tabular_lot_sizing import PATH, TabularLotSizing
from or_envs.inventory.two_suppliers import TwoSuppliers


def expected_cost(stock, order):
    """Of one period with demand U[0, 10], fixed cost 5, holding 1, shortage 9."""
    problem = TwoSuppliers("L0-p9-K5", horizon=1, normalized=False)
    num = 2000
    demand = Demand(((np.arange(num) + 0.5) / num * 10)[:, None, None])
    instance, _ = or_envs.sample(problem, 0, num)
    instance, _ = problem.apply_options(instance, demand, {"on_hand": np.full((num, 1), stock)})
    actions = np.tile(np.array(order, dtype=float), (num, 1, 1))
    return -simulate(problem, actions, instance, demand).total_reward.mean()


def test_costs_have_two_modes():
    """At the reorder point s = 9 - sqrt(10) ordering nothing costs as much as ordering up to S."""
    s = 9 - np.sqrt(10)
    assert expected_cost(9.0, [0, 0]) == pytest.approx(4.5, abs=1e-3)
    for order, cost in (
        ([0, 0], 9.5),
        ([9 - s, 0], 9.5),
        ([0, 9 - s], 9.5),
        ([1.5, 0], 10.88),
        ([(9 - s) / 2, (9 - s) / 2], 14.5),
        ([0.99, 0.99], 9.5),
    ):
        assert expected_cost(s, order) == pytest.approx(cost, abs=5e-3)


def test_one_supplier_is_optimal():
    """Its long-run cost is the renewal formula's, however actions are scaled."""
    costs = []
    for normalized in (True, False):
        problem = TwoSuppliers(horizon=1000, warm_up=50, normalized=normalized)
        rule = OneSupplier(problem)
        instance, exogenous = or_envs.sample(problem, 0, 40)
        costs.append(-simulate(problem, rule, instance, exogenous).total_reward.mean() / 950)
    assert costs[0] == pytest.approx(costs[1])
    assert costs[0] == pytest.approx(rule.policy.cost, rel=0.01)


def test_known_demand_by_enumeration():
    """No plan costs less: all plans are tried, of those that lead to the same stock the best."""
    problem = TabularLotSizing("known")
    found = BackwardInduction(problem)
    instance, exogenous = or_envs.sample(problem, 0, 1)
    played = simulate(problem, found, instance, exogenous)
    assert -played.total_reward[0] == pytest.approx(found.values[0, 0])
    best = {0: 0.0}
    for demand in PATH:
        following = {}
        for (stock, cost), order in itertools.product(best.items(), range(6)):
            left = stock + order - demand
            total = cost + 6 * (order > 0) + max(left, 0) - 4 * min(left, 0)
            after = max(left, 0)
            following[after] = min(total, following.get(after, np.inf))
        best = following
    assert min(best.values()) == pytest.approx(found.values[0, 0])


def test_poisson_demand_by_simulation():
    problem = TabularLotSizing("poisson")
    found = BackwardInduction(problem)
    instance, exogenous = or_envs.sample(problem, 0, 8000)
    played = simulate(problem, found, instance, exogenous)
    assert -played.total_reward.mean() == pytest.approx(found.values[0, 0], rel=0.01)
    assert TabularValue(problem).solve(instance).bound == found.values[0, 0]
    assert np.isclose(exogenous.demand.mean(axis=0)[:, 0], PATH, atol=0.1).all()


def test_the_task_ends():
    env = or_envs.Env(TabularLotSizing())
    env.reset(seed=0)
    ends = [env.step(np.array([2]))[2:4] for _ in range(8)]
    assert ends == [(False, False)] * 7 + [(True, False)]
    with pytest.raises(ValueError, match="instance: expected one of known, poisson, got 'normal'"):
        TabularLotSizing("normal")
