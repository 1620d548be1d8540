from __future__ import annotations

import numpy as np
import pytest

from baselines.lot_sizing.dynamic_programming import optimal_policy
from baselines.lot_sizing.index_kernels import add, descend
from baselines.lot_sizing.rollout import Rollout
from baselines.lot_sizing.rollout_kernels import path_cost
from or_envs.core import generators, sample, simulate
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState


@pytest.fixture(scope="module")
def rollout() -> Rollout:
    return Rollout(LotSizing("15x5", horizon=12), iterations=20)


def states(problem: LotSizing, num: int) -> tuple:
    instance, _ = sample(problem, 11, num)
    rng = np.random.default_rng(3)
    inventory = np.floor(rng.random((num, problem.n_items)) * 40)
    setup = rng.integers(0, problem.n_items + 1, (num, problem.n_machines))
    return instance, LotSizingState(inventory, setup, rng.integers(0, problem.horizon, num))


def kernel_cost(rollout: Rollout, state: LotSizingState, first: np.ndarray, demand: np.ndarray):
    items, machines = rollout.problem.n_items, rollout.problem.n_machines
    own = rollout.index_policy.relaxation.instance
    scratch = (
        np.empty(items, np.int64),
        np.empty(machines, np.int64),
        np.empty(machines, np.int64),
        np.empty(items, np.int64),
        np.empty(items),
        np.empty((machines, items + 1)),
    )
    return path_cost(
        rollout.index_policy.tables,
        own.lost_sales_cost[0],
        own.holding_cost[0],
        own.max_inventory[0].astype(np.int64),
        int(state.period[0]),
        state.inventory[0].astype(np.int64),
        state.setup[0],
        first,
        demand,
        scratch,
    )


def test_path_costs_are_those_of_the_problem(rollout: Rollout) -> None:
    """To the end of the episode, and cut off with the item values of a last decision."""
    problem, policy = rollout.problem, rollout.index_policy
    instance, _ = sample(problem, 0, 1)
    demand = rollout.demand(0)[0]
    for period, length in ((4, 8), (4, 3), (11, 1)):
        state = LotSizingState(
            instance.initial_inventory, instance.initial_setup, np.array([period])
        )
        first = policy(instance, state)[0]
        expected, here, action = 0.0, state, first[None]
        for units in demand[:length]:
            post, decision = problem.post_decision(instance, here, action)
            here, outcome, _ = problem.transition(instance, post, LotSizingDemand(units[None]))
            expected -= float(decision[0] + outcome[0])
            if here.period[0] < problem.horizon:
                action = policy(instance, here)
        if here.period[0] < problem.horizon:
            scratch = (np.empty(15, np.int64), np.empty(15), np.empty((5, 16)))
            stock = here.inventory[0].astype(np.int64)
            last = here.setup[0].copy()
            args = policy.tables, int(here.period[0]), here.setup[0], last, stock, *scratch
            expected += descend(*args) + scratch[1].sum()
        assert kernel_cost(rollout, state, first, demand[:length]) == pytest.approx(expected)


def test_item_values_describe_the_decision(rollout: Rollout) -> None:
    """Descending keeps stocks and setup cost in step with the decision."""
    tables = rollout.index_policy.tables
    instance, state = states(rollout.problem, 20)
    for row in range(20):
        stock = state.inventory[row].astype(np.int64)
        mask, value, change = np.empty(15, np.int64), np.empty(15), np.empty((5, 16))
        action = state.setup[row].copy()
        cost = descend(tables, 3, state.setup[row], action, stock, mask, value, change)
        here = state.rows(np.array([row]))
        post, reward = rollout.problem.post_decision(instance, here, action[None])
        assert np.array_equal(stock, post.inventory[0])
        assert cost == pytest.approx(-reward[0])
        again = state.inventory[row].astype(np.int64)
        assert add(tables, 3, state.setup[row], action, again, mask, value) == pytest.approx(cost)


def test_decisions_are_reproducible_and_do_not_depend_on_the_batch(rollout: Rollout) -> None:
    instance, state = states(rollout.problem, 10)
    together = rollout(instance, state)
    again = Rollout(rollout.problem, iterations=20)
    alone = [again(instance, state.rows(np.array([row])))[0] for row in reversed(range(10))]
    assert np.array_equal(together, alone[::-1])
    assert not np.array_equal(together, rollout.index_policy(instance, state))


def test_paths_are_drawn_from_the_law_and_never_from_an_episode(rollout: Rollout) -> None:
    problem = rollout.problem
    for period in (0, 1, 5):
        paths = rollout.demand(period)
        assert paths.shape == (32, 10, 15)
        own = {tuple(units) for path in paths for units in path}
        for seed in (0, period):
            _, trace = sample(problem, seed, 1)
            assert own.isdisjoint(tuple(units) for units in trace.demand[0].astype(int))
        # A seed sequence of [0, 0] would be that of the number 0.
        episode = generators(0, 1)[0].random(problem.n_items)
        drawn = np.random.default_rng([0, period, 1]).random(problem.n_items)
        assert not np.array_equal(episode, drawn)
    mean = np.mean([rollout.demand(t).mean() for t in range(12)])
    assert mean == pytest.approx(8, abs=0.05)
    assert not np.array_equal(rollout.demand(0), rollout.demand(1))


@pytest.mark.slow
def test_never_worse_than_its_base_policy() -> None:
    problem = LotSizing("15x5", horizon=30)
    rollout = Rollout(problem, iterations=40)
    instance, demand = sample(problem, 50_000, 30)
    better = -simulate(problem, rollout, instance, demand).total_reward
    base = -simulate(problem, rollout.index_policy, instance, demand).total_reward
    difference = base - better
    assert difference.mean() - 2 * difference.std() / np.sqrt(30) > 0


@pytest.mark.parametrize("name", ["VI-A", "VI-B", "VI-C"])
def test_nearly_optimal_where_the_optimum_is_known(name: str) -> None:
    problem = LotSizing(name, horizon=20)
    instance, demand = sample(problem, 50_000, 100)
    best = optimal_policy(problem)
    mine, optimum = (
        -simulate(problem, rule, instance, demand).total_reward for rule in (Rollout(problem), best)
    )
    regret = mine - optimum
    error = regret.std() / np.sqrt(len(regret))
    assert -3 * error <= regret.mean() <= 0.02 * optimum.mean() + 3 * error


@pytest.mark.parametrize("name", ["horizon", "paths", "candidates"])
def test_bad_sizes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Rollout(LotSizing("VI-A", horizon=2), **{name: 0})
