"""What holds for every network, whatever is ordered."""

import ast
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import or_envs
from or_envs.core import simulate
from or_envs.inventory.network import Demand

NETWORKS = [
    ("SingleStoreBacklog", "normal-L4-p9"),
    ("SingleStoreLostSales", "poisson-L3-p9-n2"),
    ("DualSourcing", "L3-c110"),
    ("SerialInventory", "L4-p9-S5"),
    ("SerialInventory", "snyder-shen-6.1"),
    ("Transshipment", "n5-L4-p9"),
    ("OneWarehouse", "n5"),
    ("ManyWarehouses", "3x20"),
    ("SerialSupplyChain", "backlog"),
    ("SerialSupplyChain", "lost"),
    ("SupplyNetwork", "backlog"),
    ("SupplyNetwork", "lost"),
]
every_network = pytest.mark.parametrize(("id", "name"), NETWORKS, ids="-".join)


def problem_of(id, name, horizon=15):
    return or_envs.make_problem(f"or_envs/{id}-v0", instance=name, horizon=horizon)


def actions_of(problem, num, rng, style):
    space = problem.action_space
    high = space.nvec - 1.0 if isinstance(space, gym.spaces.MultiDiscrete) else space.high
    shape = (num, problem.horizon, len(high))
    draw = {
        "zero": np.zeros(shape),
        "largest": np.broadcast_to(high, shape),
        "random": rng.random(shape) * high,
        "sparse": rng.random(shape) * high * (rng.random(shape) < 0.2),
    }[style]
    return np.floor(draw).astype(np.int64) if problem.setting.integer else draw.copy()


@every_network
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), style=st.sampled_from(["zero", "largest", "random", "sparse"]))
def test_stock_is_conserved(id, name, seed, style):
    """What came in from outside and was there is sold or still there, row by row."""
    problem = problem_of(id, name)
    instance, demand = or_envs.sample(problem, seed, 3)
    actions = actions_of(problem, 3, np.random.default_rng(seed), style)
    state = problem.initial(instance)
    outside = np.array([supplier < 0 for supplier, _ in problem.network.edges])
    inner = problem.network.num_internal
    start = state.on_hand.sum(axis=1) + state.pipeline.sum(axis=(1, 2))
    came, sold = np.zeros(3), np.zeros(3)
    for t in range(problem.horizon):
        wanted = actions[:, t].astype(float)
        if problem.network.backlog_orders:
            wanted = wanted + state.backorders
        shipped = problem.ship(instance, state.on_hand, wanted)
        came += shipped[:, outside].sum(axis=1)
        post, _ = problem.post_decision(instance, state, actions[:, t])
        now = demand.demand[:, t]
        stock = post.on_hand[:, inner:]
        sold += (now if problem.network.backlog else np.minimum(stock, now)).sum(axis=1)
        state, _, _ = problem.transition(instance, post, Demand(now))
        assert (state.on_hand[:, :inner] >= -1e-9).all()
        assert (post.on_hand[:, :inner] >= -1e-9).all()
        assert (state.pipeline >= 0).all()
        if not problem.network.backlog:
            assert (state.on_hand >= -1e-9).all()
        if problem.network.must_empty:
            assert post.on_hand[:, :inner] == pytest.approx(0.0, abs=1e-6)
    end = state.on_hand.sum(axis=1) + state.pipeline.sum(axis=(1, 2))
    assert start + came == pytest.approx(sold + end, rel=1e-6, abs=1e-6)


def test_goods_arrive_at_neighbours_after_their_lead_time():
    """The published code ships to stores that a warehouse is not connected to."""
    problem = problem_of("ManyWarehouses", "2x10", horizon=9)
    instance, _ = or_envs.sample(problem, 0, 1)
    start = {"on_hand": [50.0, 80.0, *[0.0] * 10], "pipeline": np.zeros((17, 6))}
    instance, _ = problem.apply_options(instance, None, start)
    state = problem.initial(instance)
    orders = np.full((1, 17), 5.0)
    orders[0, :2] = 0.0
    before = state.on_hand[0, :2].copy()
    received = np.zeros((9, 10))
    for t in range(9):
        old = state.on_hand[0, 2:].copy()
        post, _ = problem.post_decision(instance, state, orders if t == 0 else np.zeros((1, 17)))
        if t == 0:
            left = before - post.on_hand[0, :2]
        state, _, _ = problem.transition(instance, post, Demand(np.zeros((1, 10))))
        received[t] = state.on_hand[0, 2:] - old
    assert left == pytest.approx([30.0, 45.0])  # 6 and 9 connections of 5 units
    expected = np.zeros((9, 10))
    codes = ["02", "01", "62", "62", "61", "02", "60", "52", "62", "02"]
    for store, code in enumerate(codes):
        for digit in code:
            if digit != "0":
                expected[int(digit) - 1, store] += 5.0
    assert received == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_scaling_units_scales_costs(factor, seed):
    problem = problem_of("OneWarehouse", "n3")
    instance, demand = or_envs.sample(problem, seed, 2)
    actions = actions_of(problem, 2, np.random.default_rng(seed), "random") / 10
    cost = simulate(problem, actions, instance, demand, check=False).total_reward
    import dataclasses

    scaled = dataclasses.replace(
        instance,
        initial_on_hand=factor * instance.initial_on_hand,
        initial_pipeline=factor * instance.initial_pipeline,
    )
    more = simulate(problem, factor * actions, scaled, Demand(factor * demand.demand), check=False)
    assert more.total_reward == pytest.approx(factor * cost, rel=1e-9)


def test_a_store_without_demand_costs_its_own_holding_only():
    problem = problem_of("OneWarehouse", "n3")
    instance, demand = or_envs.sample(problem, 4, 2)
    actions = actions_of(problem, 2, np.random.default_rng(0), "sparse") / 20
    actions[:, :, 3] = 0.0  # nothing is sent to the last store
    instance.initial_on_hand[:, 3] = 0.0
    instance.initial_pipeline[:, 3] = 0.0
    silent = demand.demand.copy()
    silent[:, :, 2] = 0.0
    without = simulate(problem, actions, instance, Demand(silent)).rewards
    instance.initial_on_hand[:, 3] = 7.0
    with_stock = simulate(problem, actions, instance, Demand(silent)).rewards
    holding = 7.0 * instance.holding_cost[0, 3]
    assert without - with_stock == pytest.approx(np.full((2, 15), holding))


@every_network
def test_torch_equals_numpy_and_gradients_equal_differences(id, name):
    """With respect to actions, in float64, away from kinks."""
    problem = problem_of(id, name, horizon=12)
    instance, demand = or_envs.sample(problem, 1, 4)
    rng = np.random.default_rng(3)
    actions = actions_of(problem, 4, rng, "random").astype(float) * 0.15
    actions += rng.random(actions.shape) * 1e-2
    tensors = (instance.to_torch(dtype=torch.float64), demand.to_torch(dtype=torch.float64))
    given = torch.tensor(actions, requires_grad=True)
    total = simulate(problem, given, *tensors).total_reward
    expected = simulate(problem, actions, instance, demand, check=False).total_reward
    assert total.detach().numpy() == pytest.approx(expected, rel=1e-12, abs=1e-10)
    total.sum().backward()
    direction = rng.standard_normal(actions.shape)
    slope = float((given.grad * torch.tensor(direction)).sum())
    h = 1e-6

    def value(a):
        return float(simulate(problem, a, instance, demand, check=False).total_reward.sum())

    difference = (value(actions + h * direction) - value(actions - h * direction)) / (2 * h)
    assert slope == pytest.approx(difference, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("bad", [np.nan, -1.0, 1e9])
def test_bad_orders_raise(bad):
    env = or_envs.Env(problem_of("OneWarehouse", "n3"))
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match="outside"):
        env.step(np.full(4, bad))


def test_only_the_dynamics_make_states():
    """No other module computes stocks."""
    folder = Path(or_envs.__file__).parent / "inventory"
    makers = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InventoryState":
                makers.add(file.name)
    assert makers == {"problem.py", "kernels.py"}
