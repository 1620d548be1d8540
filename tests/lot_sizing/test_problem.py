"""The lot-sizing dynamics: hand cases, published costs, invariants."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import or_envs
from or_envs import sample, simulate
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "lot-sizing"
DEMAND = np.zeros((100, 2))
DEMAND[:5] = [(1, 1), (0, 1), (0, 0), (1, 0), (1, 1)]


def test_hand_case():
    """VI-A from an empty store: cap after demand, idling forgets the setup."""
    env = gym.make("or_envs/LotSizing-v0", instance="VI-A")
    env.reset(seed=0, options={"inventory": [0, 0], "setup": [0], "demand": DEMAND})
    costs, stocks, setup_costs = [], [], []
    for action in (1, 1, 1, 0, 1):
        _, reward, _, _, info = env.step([action])
        costs.append(-reward)
        setup_costs.append(-info["post_decision_reward"])
        stocks.append(tuple(env.unwrapped.state.inventory[0]))
        assert info["post_decision_reward"] + info["exogenous_reward"] == reward
    np.testing.assert_allclose(costs, [3.1, 2.4, 0.5, 0.4, 3.5], atol=1e-12)
    np.testing.assert_allclose(setup_costs, [1, 0, 0, 0, 1])
    assert stocks == [(1, 0), (4, 0), (5, 0), (4, 0), (5, 0)]


def test_forced_start_leaves_the_demand_as_it_was():
    problem = or_envs.make_problem("or_envs/LotSizing-v0", instance="15x5")
    env = gym.make("or_envs/LotSizing-v0", instance="15x5")
    env.reset(seed=4, options={"inventory": [0] * 15})
    _, demand = sample(problem, 4, 1)
    np.testing.assert_array_equal(env.unwrapped.batch.exogenous.demand, demand.demand)
    assert (env.unwrapped.state.inventory == 0).all()


def test_production_below_the_setup_loss_makes_nothing():
    """A change-over cannot destroy stock, except in the published dynamics."""
    for published, expected in ((False, 5.0), (True, 3.0)):
        problem = LotSizing("VI-A", allow_invalid=published)
        instance, _ = sample(problem, 0, 1)
        instance = instance.map(np.copy)
        instance.production[:] = 1
        instance.setup_loss[:] = 3
        state = LotSizingState(np.full((1, 2), 5.0), np.array([[0]]), np.array([0]))
        for variant in (problem, problem.compiled()):
            post, _ = variant.post_decision(instance, state, np.array([[1]]))
            np.testing.assert_array_equal(post.inventory, [[expected, 5.0]])


def test_published_accident_costs_stock():
    """allow_invalid: an item with production 0 is paid for and loses stock."""
    problem = LotSizing("15x5", allow_invalid=True)
    instance, _ = sample(problem, 0, 1)
    machine, item = np.argwhere(instance.production[0] == 0)[0]
    state = LotSizingState(np.zeros((1, 15)), np.zeros((1, 5), dtype=int), np.array([0]))
    action = np.zeros((1, 5), dtype=int)
    action[0, machine] = item + 1
    post, reward = problem.post_decision(instance, state, action)
    assert post.inventory[0, item] == -instance.setup_loss[0, machine, item]
    assert reward[0] == -instance.setup_cost[0, machine, item]
    nothing = LotSizingDemand(np.zeros((1, 15)))
    _, outcome, _ = problem.transition(instance, post, nothing)
    lost = instance.lost_sales_cost[0, item] * instance.setup_loss[0, machine, item]
    assert outcome[0] == pytest.approx(-lost)


def test_start_law():
    """Stock is U{0..cap - 1}; every machine starts on an item that it can make, uniformly."""
    problem = LotSizing("15x5")
    instance, demand = sample(problem, 0, 4000)
    stock = instance.initial_inventory
    assert stock.min() == 0
    assert stock.max() == 99
    assert abs(stock.mean() - 49.5) < 3 * np.sqrt((100**2 - 1) / 12 / stock.size)
    machines = np.arange(5)
    assert (instance.production[0, machines, instance.initial_setup - 1] > 0).all()
    for machine in range(5):
        makeable = np.flatnonzero(instance.production[0, machine]) + 1
        values, counts = np.unique(instance.initial_setup[:, machine], return_counts=True)
        np.testing.assert_array_equal(values, makeable)
        expected = 4000 / len(makeable)
        assert ((counts - expected) ** 2 / expected).sum() < 3 * len(makeable) + 15
    d = demand.demand
    assert abs(d.mean() - 8) < 3 * np.sqrt(4.8 / d.size)
    assert abs(d.var() - 4.8) < 0.02
    assert d.max() <= 20


def idle(instance, state):
    return np.zeros_like(state.setup)


def uniform_over_all(n_items):
    rng = np.random.default_rng(0)

    def rule(instance, state):
        return rng.integers(0, n_items + 1, size=state.setup.shape)

    return rule


@pytest.mark.parametrize("name", ["15x5", "20x10", "25x10", "25x15"])
def test_analytic_idle_cost(name):
    """Idle from I ~ U{0..99}: lost sales sum(rho) (8 T - 49.5), plus the holding of the start."""
    problem = LotSizing(name)
    instance, demand = sample(problem, 50_000, 1500)
    rollout = simulate(problem, idle, instance, demand)
    held = 0.0
    state = problem.initial(instance)
    left = state.inventory[:, None, :] - np.cumsum(demand.demand, axis=1)
    held = (instance.holding_cost * np.maximum(left, 0).sum(axis=1)).sum(axis=1)
    lost = -rollout.total_reward - held
    expected = instance.lost_sales_cost.sum() * (8 * 100 - 49.5)
    error = lost.std(ddof=1) / np.sqrt(1500)
    assert abs(lost.mean() - expected) < 3 * error


def test_analytic_idle_cost_from_an_empty_store():
    problem = LotSizing("15x5")
    instance, demand = sample(problem, 50_000, 500)
    empty, _ = problem.apply_options(instance, None, {"inventory": np.zeros(15)})
    cost = -simulate(problem, idle, empty, demand).total_reward
    error = cost.std(ddof=1) / np.sqrt(500)
    assert abs(cost.mean() - 800 * instance.lost_sales_cost.sum()) < 3 * error


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="published instances are not at hand")
def test_published_instances():
    """Idle and uniform random costs of the published files (mean, standard error in the spec)."""
    expected_idle = {"15x5": 5653, "20x10": 7535, "25x10": 12428, "25x15": 10930}
    expected_random = {"15x5": 12758, "20x10": 22284, "25x10": 27896, "25x15": 33862}
    for name, expected in expected_idle.items():
        problem = LotSizing(str(PUBLISHED / f"{name}.json"))
        instance, demand = sample(problem, 1000, 400)
        assert -simulate(problem, idle, instance, demand).total_reward.mean() == pytest.approx(
            expected, rel=0.005
        )
        free = LotSizing(str(PUBLISHED / f"{name}.json"), allow_invalid=True)
        rule = uniform_over_all(free.n_items)
        random_cost = -simulate(free, rule, instance, demand).total_reward.mean()
        assert random_cost == pytest.approx(expected_random[name], rel=0.005)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="published instances are not at hand")
def test_setup_cost_of_uniform_random_play():
    """20x10: sum over machines of mean setup cost times (n / (n + 1))^2 per period = 19,200."""
    problem = LotSizing(str(PUBLISHED / "20x10.json"), allow_invalid=True, horizon=40)
    instance, demand = sample(problem, 0, 300)
    rule, state, paid = uniform_over_all(20), problem.initial(instance), 0.0
    for step in range(40):
        post, reward = problem.post_decision(instance, state, rule(instance, state))
        now = problem.exogenous_at(demand, np.full(300, step))
        state, _, _ = problem.transition(instance, post, now)
        paid -= reward.mean()
    # The random start setup is never idle: the first period changes over a little less.
    per_period = instance.setup_cost[0].mean(axis=1).sum() * (20 / 21) ** 2
    assert 100 * per_period == pytest.approx(19200, rel=0.002)
    assert paid / 40 == pytest.approx(per_period, rel=0.01)


def test_observation_layout():
    problem = LotSizing("VI-A", finite_horizon=True, horizon=4)
    instance, _ = sample(problem, 0, 1)
    state = LotSizingState(np.array([[5.0, 1.0]]), np.array([[2]]), np.array([3]))
    expected = [[1.0, 0.2, 0, 0, 1, 0.75]]
    np.testing.assert_allclose(problem.observation(instance, state), expected)
    np.testing.assert_allclose(problem.compiled().observation(instance, state), expected)
    raw = LotSizing("VI-A", observation_mode="inventory_only")
    np.testing.assert_array_equal(raw.observation(instance, state), [[5, 1]])


def test_random_instances_change_with_every_episode():
    env = gym.make("or_envs/LotSizing-v0", instance="random").unwrapped
    env.reset(seed=0)
    first = env.instance.production
    env.reset()
    assert (env.instance.production != first).any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4))
def test_units_are_conserved(seed, n_items, n_machines):
    """Start + produced - sold - overflow = end; stock stays in [0, cap]; rewards add up."""
    problem = LotSizing("random", n_items=n_items, n_machines=n_machines, horizon=12)
    instance, demand = sample(problem, seed, 3)
    checker = or_envs.core.batch.ActionChecker(problem)
    rng = np.random.default_rng(seed)
    state = problem.initial(instance)
    columns = checker.sizes.sum()
    for step in range(12):
        mask = np.broadcast_to(problem.action_mask(instance, state), (3, columns))
        assert mask.any(axis=1).all()
        action = checker.sample(mask, 3, rng)
        post, decision = problem.post_decision(instance, state, action)
        produced = post.inventory - state.inventory
        assert (produced >= 0).all()
        now = problem.exogenous_at(demand, np.full(3, step))
        following, outcome, _ = problem.transition(instance, post, now)
        sold = np.minimum(post.inventory, now.demand)
        overflow = np.maximum(post.inventory - sold - instance.max_inventory, 0)
        np.testing.assert_allclose(
            state.inventory + produced - sold - overflow, following.inventory, atol=1e-9
        )
        assert (following.inventory >= 0).all()
        assert (following.inventory <= instance.max_inventory).all()
        cost = (instance.lost_sales_cost * (now.demand - sold)).sum(axis=1) + (
            instance.holding_cost * following.inventory
        ).sum(axis=1)
        np.testing.assert_allclose(-outcome, cost, atol=1e-9)
        assert (decision <= 0).all()
        state = following


def test_worst_completion_is_below_play():
    problem = LotSizing("15x5")
    instance, demand = sample(problem, 0, 50)
    worst = problem.worst_completion(instance, problem.initial(instance))
    cost = simulate(problem, idle, instance, demand).total_reward
    assert (worst <= cost).all()
