"""The beer game against a plain statement of the published one, which decides later in a period."""

import gymnasium as gym
import numpy as np
import pytest

import or_envs
from or_envs.core import simulate
from or_envs.inventory.beer_game import CASES
from or_envs.inventory.network import Demand

every_case = pytest.mark.parametrize("name", CASES)


def problem_of(name="C48", **kwargs):
    return or_envs.make_problem("or_envs/BeerGame-v0", instance=name, **kwargs)


def published_game(name, demand, decide):
    """Costs (T, 4) by player, the retailer first, each with its own books.

    In a period players see what they are asked for, order, receive, ship and pay.
    ``decide(player, period, position, asked)`` gives the order; in period -1 it stands for the last
    of the initial orders.
    """
    case, periods = CASES[name], len(demand)
    # The plant's orders take their delay and the goods' way in one go.
    way = [*case.lead_time[:3], case.lead_time[3] + case.order_delay[3]]
    arriving, asked = np.zeros((4, periods + 20)), np.zeros((4, periods + 20))
    for k in range(4):
        arriving[k, : way[k] - (k == 3)] = case.under_way
        if k:
            asked[k, : case.order_delay[k - 1] - 1] = case.under_way
    on_order = arriving.sum(axis=1) + np.append(asked[1:].sum(axis=1), 0.0)
    asked[0, :periods] = demand
    inventory = np.full(4, case.stock)
    costs = np.zeros((periods, 4))
    for t in range(-1, periods):
        for k in range(4):
            new = 0.0 if t < 0 else asked[k, t]
            last = case.under_way if t < 0 else new
            order = decide(k, t, inventory[k] + on_order[k] - new, last)
            on_order[k] += order
            if k < 3:
                asked[k + 1, t + case.order_delay[k]] += order
            else:
                arriving[k, t + way[k]] += order
        if t < 0:
            continue
        for k in (3, 2, 1, 0):
            stock = max(inventory[k], 0.0) + arriving[k, t]
            owed = max(-inventory[k], 0.0) + asked[k, t]
            if k:
                arriving[k - 1, t + way[k - 1]] += min(stock, owed)
            inventory[k] = stock - owed
            on_order[k] -= arriving[k, t]
            costs[t, k] = case.holding_cost[k] * max(inventory[k], 0.0)
            costs[t, k] += case.shortage_cost[k] * max(-inventory[k], 0.0)
    return costs


def base_stock(levels):
    """The published rule; the arguments are those of ``decide``."""
    return lambda k, t, position, asked: max(levels[k] - position, 0.0)


def net_stocks(state):
    """What every player has less what it owes, (B, 4), the retailer first."""
    owed = np.concatenate([state.backorders[:, 1:], np.zeros((state.num, 1))], axis=1)
    return (state.on_hand - owed)[:, ::-1]


def local_base_stock(levels):
    """The published rule on our state."""

    def rule(instance, state):
        on_order = state.pipeline.sum(axis=2) + state.orders.sum(axis=2) + state.backorders
        position = net_stocks(state)[:, ::-1] + on_order
        return np.maximum(np.array(levels[::-1]) - position, 0).astype(np.int64)

    return rule


@every_case
@pytest.mark.parametrize("seed", range(3))
def test_base_stock_costs_what_it_costs_in_the_published_game(name, seed):
    problem = problem_of(name, action_mode="orders", horizon=60)
    instance, demand = or_envs.sample(problem, seed, 1)
    levels = np.maximum(np.array(CASES[name].levels) - (0, seed, 2 * seed, seed), 0)
    rollout = simulate(problem, local_base_stock(levels), instance, demand)
    costs = published_game(name, demand.demand[0, :, 0], base_stock(levels))
    np.testing.assert_allclose(-rollout.rewards[0], costs.sum(axis=1), atol=1e-9)


def test_base_stock_in_the_classic_case_costs_180():
    """The published code's figure: 61 periods, after the last of the given first orders of 4."""
    problem = problem_of(action_mode="orders", horizon=61)
    instance, demand = or_envs.sample(problem, 0, 1)
    rule = local_base_stock(CASES["C48"].levels)

    def after_the_given_order(instance, state):
        return np.where(state.period[:, None] == 0, 4, rule(instance, state))

    rollout = simulate(problem, after_the_given_order, instance, demand)
    assert -rollout.total_reward == pytest.approx([180.0])


@every_case
def test_relative_actions_in_the_published_game(name):
    """Received order + x, with x drawn at random."""
    problem = problem_of(name, horizon=60)
    instance, demand = or_envs.sample(problem, 5, 1)
    largest = CASES[name].largest_change
    changes = np.random.default_rng(1).integers(0, 2 * largest + 1, (60, 4))
    rollout = simulate(problem, changes[None], instance, demand)

    def decide(k, t, position, asked):
        return max(asked + changes[min(t + 1, 59), 3 - k] - largest, 0.0)

    costs = published_game(name, demand.demand[0, :, 0], decide)
    np.testing.assert_allclose(-rollout.rewards[0], costs.sum(axis=1), atol=1e-9)


@every_case
@pytest.mark.parametrize("player", range(4))
def test_one_player_among_base_stock_players(name, player):
    problem = problem_of(name, player=player, action_mode="orders", horizon=60)
    instance, demand = or_envs.sample(problem, 2, 1)
    rollout = simulate(problem, np.full((1, 60), 3), instance, demand)
    rule = base_stock(CASES[name].levels)

    def decide(k, t, position, asked):
        return 3.0 if k == player else rule(k, t, position, asked)

    costs = published_game(name, demand.demand[0, :, 0], decide)
    np.testing.assert_allclose(-rollout.rewards[0], costs.sum(axis=1), atol=1e-9)


def test_equilibrium_costs_the_initial_stock():
    """With demand 4 for ever, everybody orders what was asked for and keeps 12 units."""
    problem = problem_of(horizon=30)
    instance, demand = or_envs.sample(problem, 0, 1)
    calm = Demand(np.full_like(demand.demand, 4.0))
    unchanged = np.full((1, 30, 4), CASES["C48"].largest_change)
    rewards = simulate(problem, unchanged, instance, calm).rewards
    assert rewards == pytest.approx(np.full((1, 30), -4 * 12 * 0.5))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"player": 4}, "player: expected None or an integer in 0..3, got 4"),
        ({"player": "0"}, "player: expected None or an integer in 0..3, got '0'"),
        ({"player": 0, "action_mode": "levels"}, "action_mode: expected one of 'relative', 'ord"),
        ({"normalized": True}, "normalized: expected False"),
    ],
)
def test_bad_settings_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        problem_of(**kwargs)


def test_spaces():
    assert problem_of("N10").action_space == gym.spaces.MultiDiscrete([11] * 4)
    assert problem_of("basic", player=1).action_space == gym.spaces.Discrete(5)
