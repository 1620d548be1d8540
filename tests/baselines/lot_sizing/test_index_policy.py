from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from baselines.lot_sizing.dynamic_programming import optimal_policy
from baselines.lot_sizing.index_policy import IndexPolicy
from baselines.lot_sizing.lagrangian import masks
from baselines.lot_sizing.rules import GreedyCover
from or_envs.core import sample, simulate
from or_envs.lot_sizing.problem import LotSizing, LotSizingState

QUICK = {"iterations": 20, "num_episodes": 20}


def objective(policy: IndexPolicy, problem: LotSizing, instance, state, action) -> float:
    """Setup cost plus item values of one decision, through the problem's own dynamics."""
    post, reward = problem.post_decision(instance, state, action)
    total = -float(reward[0])
    tables = policy.tables
    for i, item in enumerate(policy.relaxation.items):
        column = tables.column[tables.offset[i] + masks(item, action, i)[0]]
        if column < 0:
            return np.inf
        row = min(int(post.inventory[0, i]), item.rows - 1)
        place = tables.first[i] + column * item.rows + row
        total += tables.values[state.period[0], place]
    return total


def states(problem: LotSizing, num: int) -> tuple:
    instance, _ = sample(problem, 11, num)
    rng = np.random.default_rng(3)
    inventory = np.floor(rng.random((num, problem.n_items)) * (1 + instance.max_inventory))
    setup = rng.integers(0, problem.n_items + 1, (num, problem.n_machines))
    period = rng.integers(0, problem.horizon, num)
    return instance, LotSizingState(inventory, setup, period)


def test_no_change_of_one_machine_is_better(small) -> None:
    for seed in range(4):
        problem, _, _ = small(seed)
        policy = IndexPolicy(problem, **QUICK)
        instance, state = states(problem, 20)
        action = policy(instance, state)
        for row in range(20):
            here = state.rows(np.array([row]))
            mine = objective(policy, problem, instance, here, action[row : row + 1])
            assert np.isfinite(mine)
            for m, item in itertools.product(range(2), range(4)):
                if item > 0 and instance.production[0, m, item - 1] == 0:
                    continue
                other = action[row : row + 1].copy()
                other[0, m] = item
                assert mine <= objective(policy, problem, instance, here, other) + 1e-6


def test_one_machine_and_exact_values_play_optimally() -> None:
    """With one period to go the item values are exact, so the policy is optimal."""
    problem = LotSizing("VI-C", horizon=1)
    policy, optimum = IndexPolicy(problem, **QUICK), optimal_policy(problem)
    instance = optimum.dp.instance
    for row in range(0, len(optimum.dp.states.setup), 7):
        state = optimum.dp.states.rows(np.array([row]))
        cost = objective(policy, problem, instance, state, policy(instance, state))
        assert cost == pytest.approx(optimum.value(state)[0], abs=1e-4)


def test_decisions_do_not_depend_on_the_batch() -> None:
    problem = LotSizing("15x5", horizon=12)
    policy = IndexPolicy(problem, **QUICK)
    instance, state = states(problem, 30)
    before = state.inventory.copy(), state.setup.copy()
    together = policy(instance, state)
    alone = [policy(instance, state.rows(np.array([row])))[0] for row in range(30)]
    assert np.array_equal(together, alone)
    assert np.array_equal(before[0], state.inventory)
    assert np.array_equal(before[1], state.setup)


@pytest.mark.parametrize("name", ["VI-A", "VI-B", "VI-C"])
def test_close_to_the_optimum(name: str) -> None:
    problem = LotSizing(name, horizon=50)
    instance, demand = sample(problem, 50_000, 1000)
    best = optimal_policy(problem).value(problem.initial(instance)).mean()
    cost = -simulate(problem, IndexPolicy(problem), instance, demand).total_reward
    error = cost.std() / np.sqrt(len(cost))
    assert best - 3 * error <= cost.mean() <= 1.02 * best + 3 * error


@pytest.mark.slow
def test_better_than_greedy_on_the_published_instance(published) -> None:
    problem = LotSizing(str(published / "15x5.json"))
    policy = IndexPolicy(problem, iterations=60, num_episodes=50)
    instance, demand = sample(problem, 50_000, 100)
    mine, greedy = (
        -simulate(problem, rule, instance, demand).total_reward
        for rule in (policy, GreedyCover(2, 0.3, 4))
    )
    difference = greedy - mine
    assert difference.mean() - 3 * difference.std() / 10 > 50
    # The certified bound of the same instance is about 1380.
    assert mine.mean() > 1380


def test_after_the_end_the_last_period_counts() -> None:
    problem = LotSizing("VI-A", horizon=4)
    policy = IndexPolicy(problem, **QUICK)
    instance, _ = sample(problem, 0, 1)
    state = problem.initial(instance)
    late, last = (dataclasses.replace(state, period=np.array([t])) for t in (9, 3))
    assert np.array_equal(policy(instance, late), policy(instance, last))


def test_other_instances_and_fractional_stock_are_refused() -> None:
    problem = LotSizing("VI-A", horizon=4)
    policy = IndexPolicy(problem, **QUICK)
    instance, _ = sample(problem, 0, 1)
    state = problem.initial(instance)
    doubled = dataclasses.replace(instance, production=2 * instance.production)
    with pytest.raises(ValueError, match="not those of the problem"):
        policy(doubled, state)
    assert policy(instance, state).shape == (1, 1)
    # An array that has passed does not vouch for the others.
    dearer = dataclasses.replace(instance, setup_cost=2 * instance.setup_cost)
    with pytest.raises(ValueError, match="not those of the problem"):
        policy(dearer, state)
    half = dataclasses.replace(state, inventory=state.inventory + 0.5)
    with pytest.raises(ValueError, match="whole units"):
        policy(instance, half)
