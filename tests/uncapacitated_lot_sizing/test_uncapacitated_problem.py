"""Uncapacitated lot-sizing: hand cases, the mask, every plan of small instances, invariants."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_envs import sample, simulate
from or_envs.core.actions import ActionChecker
from or_envs.uncapacitated_lot_sizing.problem import (
    UncapacitatedLotSizing,
    UncapacitatedLotSizingState,
)


def at(covered, period):
    return UncapacitatedLotSizingState(np.array([covered]), np.array([period]))


def with_demand(problem, demand):
    instance, _ = sample(problem, 0, 1)
    return dataclasses.replace(instance, demand=np.array([demand], dtype=float))


def legal_plans(problem, instance):
    """Every legal plan, depth first, with its cost."""

    def extend(state, plan, cost):
        if len(plan) == problem.horizon:
            yield plan, cost
            return
        for action in np.flatnonzero(problem.action_mask(instance, state)[0]):
            post, decision = problem.post_decision(instance, state, np.array([action]))
            after, outcome, _ = problem.transition(instance, post, None)
            yield from extend(after, [*plan, int(action)], cost - decision[0] - outcome[0])

    return extend(problem.initial(instance), [], 0.0)


def test_hand_case():
    """d = (10, 20, 30), K = 50, h = 1: cover two periods, then one."""
    env = gym.make("or_envs/UncapacitatedLotSizing-v0", instance="tiny")
    env.reset(seed=0)
    steps = [env.step(action) for action in (2, 0, 1)]
    np.testing.assert_allclose([-reward for _, reward, *_ in steps], [50 + 20, 0, 50])
    assert [terminated for _, _, terminated, *_ in steps] == [False, False, True]


def test_producing_before_stock_is_used_up_is_allowed():
    """2, 2, 0 makes the last 30 units a period early: 50 + 20, 50 + 30, 0."""
    problem = UncapacitatedLotSizing("tiny")
    instance, _ = sample(problem, 0, 1)
    rewards = simulate(problem, np.array([[2, 2, 0]]), instance).rewards
    np.testing.assert_allclose(-rewards, [[70, 80, 0]])


def test_unit_costs_are_paid_where_the_units_are_made():
    problem = UncapacitatedLotSizing("tiny")
    instance, _ = sample(problem, 0, 1)
    instance = dataclasses.replace(
        instance,
        unit_cost=np.array([[1.0, 3, 5]]),
        holding_cost=np.array([[0.5, 0.25, 9]]),
    )
    rewards = simulate(problem, np.array([[1, 2, 0]]), instance).rewards
    np.testing.assert_allclose(-rewards, [[50 + 10, 50 + 3 * 50 + 0.25 * 30, 0]])


def allowed(problem, instance, state):
    return np.flatnonzero(problem.action_mask(instance, state)[0]).tolist()


def test_mask():
    problem = UncapacitatedLotSizing("tiny")
    instance, _ = sample(problem, 0, 1)
    assert allowed(problem, instance, at(0, 0)) == [1, 2, 3]
    assert allowed(problem, instance, at(2, 1)) == [0, 2]
    assert allowed(problem, instance, at(3, 1)) == [0]
    assert allowed(problem, instance, at(1, 1)) == [1, 2]
    assert allowed(problem, instance, at(2, 2)) == [1]


def test_periods_without_demand_need_no_production():
    problem = UncapacitatedLotSizing("tiny")
    instance = with_demand(problem, [0, 5, 0])
    assert allowed(problem, instance, at(0, 0)) == [0, 2, 3]
    assert allowed(problem, instance, at(1, 1)) == [1, 2]
    assert allowed(problem, instance, at(2, 2)) == [0]
    assert allowed(problem, with_demand(problem, [0, 0, 0]), at(0, 0)) == [0]
    plan = simulate(problem, np.array([[0, 1, 0]]), instance)
    assert plan.total_reward[0] == -50
    assert np.isfinite(problem.observation(with_demand(problem, [0, 0, 0]), at(0, 0))).all()


def test_observation_layout():
    """Tiny in period 1 with the demand of period 1 in stock: largest demand 30, money 50."""
    problem = UncapacitatedLotSizing("tiny")
    instance, _ = sample(problem, 0, 1)
    expected = [2 / 3, 1, 0, 1, 1, 0, 0, 0, 0, 0.6, 0.6, 0, 1 / 3, 1 / 3]
    np.testing.assert_allclose(problem.observation(instance, at(2, 1)), [expected])


def test_observation_does_not_depend_on_units_of_goods_and_money():
    problem = UncapacitatedLotSizing()
    instance, _ = sample(problem, 3, 4)
    other = dataclasses.replace(
        instance,
        demand=instance.demand * 7,
        setup_cost=instance.setup_cost * 3,
        unit_cost=instance.unit_cost * 3 / 7,
        holding_cost=instance.holding_cost * 3 / 7,
    )
    state = problem.initial(instance)
    np.testing.assert_allclose(
        problem.observation(instance, state), problem.observation(other, state)
    )


@pytest.mark.parametrize("seed", range(5))
def test_no_plan_falls_below_the_penalty(seed):
    problem = UncapacitatedLotSizing(horizon=5)
    instance, _ = sample(problem, seed, 1)
    instance = dataclasses.replace(instance, setup_cost=instance.setup_cost / 50)
    costs = [cost for _, cost in legal_plans(problem, instance)]
    worst = -problem.worst_completion(instance, problem.initial(instance))[0]
    assert max(costs) <= worst
    assert worst < 3 * max(costs)  # a penalty that nothing comes near would drown the rewards


def test_illegal_action_is_explained():
    env = gym.make("or_envs/UncapacitatedLotSizing-v0", instance="tiny")
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(0)
    assert terminated
    assert "does not meet" in info["invalid_action"]
    # Three setups, and 60 units held from period 1 to the end.
    assert reward == -(150 + 3 * 60)
    env.reset(seed=0)
    env.step(3)
    assert "covers" in env.step(1)[4]["invalid_action"]


def test_law_of_random_instances():
    problem = UncapacitatedLotSizing(horizon=20)
    instance, exogenous = sample(problem, 0, 2000)
    assert exogenous is None
    for values, low, high, sd in (
        (instance.demand, 0, 100, np.sqrt((101**2 - 1) / 12)),
        (instance.setup_cost, 50, 250, np.sqrt((201**2 - 1) / 12)),
        (instance.unit_cost, 1, 2, np.sqrt(1 / 12)),
        (instance.holding_cost, 0.5, 1.5, np.sqrt(1 / 12)),
    ):
        assert values.min() >= low
        assert values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 4 * sd / np.sqrt(values.size)
    assert (instance.demand == np.floor(instance.demand)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_balance_of_stock_and_cost(seed, horizon):
    """s_{t-1} + x_t = d_t + s_t >= d_t on random play, and the cost recomputed from x and s."""
    problem = UncapacitatedLotSizing(horizon=horizon)
    instance, _ = sample(problem, seed, 4)
    instance = dataclasses.replace(instance, demand=np.maximum(instance.demand - 40, 0))
    checker = ActionChecker(problem)
    rng = np.random.default_rng(seed)
    state = problem.initial(instance)
    total = np.zeros(4)
    for t in range(horizon):
        before = problem.stock(instance, state)
        mask = problem.action_mask(instance, state)
        assert mask.any(axis=1).all()
        action = checker.sample(mask, 4, rng)
        post, decision = problem.post_decision(instance, state, action)
        made = problem.stock(instance, post) - before
        assert ((made > 0) == (action > 0)).all()
        after, outcome, terminal = problem.transition(instance, post, None)
        stock = problem.stock(instance, after)
        np.testing.assert_allclose(before + made, instance.demand[:, t] + stock)
        assert (stock >= 0).all()
        cost = instance.setup_cost[:, t] * (made > 0) + instance.unit_cost[:, t] * made
        np.testing.assert_allclose(-decision, cost)
        np.testing.assert_allclose(-outcome, instance.holding_cost[:, t] * stock)
        assert (terminal == (t == horizon - 1)).all()
        total += made
        state = after
    np.testing.assert_allclose(total, instance.demand.sum(axis=1))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"horizon.*>= 1.*0"):
        UncapacitatedLotSizing(horizon=0)
    with pytest.raises(ValueError, match="only with instance='random'"):
        UncapacitatedLotSizing("tiny", horizon=3)
    with pytest.raises(ValueError, match="wagner-whitin, tiny or 'random', got 'huge'"):
        UncapacitatedLotSizing("huge")
