"""Cases computed by hand, on the inventory networks."""

import numpy as np
import pytest
import torch

import or_envs
from or_envs.core import simulate
from or_envs.inventory.demand import Normal
from or_envs.inventory.network import OUTSIDE, Demand, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting
from or_envs.inventory.single_store import SingleStoreBacklog, SingleStoreLostSales


def network_problem(network, limit=100.0, horizon=20, action_mode="orders", **data):
    """A problem of a network with one normal demand law; what is not given costs nothing."""
    n = network.num_stores
    given = {
        "holding_cost": np.zeros(network.num_nodes),
        "shortage_cost": np.zeros(n),
        "demand_mean": np.full(n, 5.0),
        "demand_std": np.zeros(n),
        **data,
    }
    setting = Setting(
        network,
        make_instance(network, **given),
        Normal(),
        order_limit=np.full(network.num_edges, limit),
    )
    return InventoryNetwork(setting, horizon, action_mode=action_mode)


def one_step(problem, order, demand):
    """State and cost after one period from the initial state."""
    instance, _ = or_envs.sample(problem, 0, 1)
    state = problem.initial(instance)
    post, decision = problem.post_decision(instance, state, np.array([order], dtype=float))
    given = Demand(np.array([demand], dtype=float))
    following, outcome, _ = problem.transition(instance, post, given)
    return following, -float(decision[0] + outcome[0])


@pytest.mark.parametrize(
    ("cls", "name", "on_hand"),
    [
        (SingleStoreBacklog, "normal-L2-p9", -1.0),
        (SingleStoreLostSales, "poisson-L2-p9", 1.0),
    ],
)
def test_h1_one_store(cls, name, on_hand):
    problem = cls(name)
    instance, _ = or_envs.sample(problem, 0, 1)
    options = {"on_hand": [3.0], "pipeline": [[1.0, 0.0]]}
    instance, _ = problem.apply_options(instance, None, options)
    state = problem.initial(instance)
    for twin in (problem, problem.compiled()):
        post, decision = twin.post_decision(instance, state, np.array([[4.0]]))
        following, outcome, _ = twin.transition(instance, post, Demand(np.array([[5.0]])))
        assert -(decision + outcome) == pytest.approx([18.0])
        assert following.on_hand.tolist() == [[on_hand]]
        assert following.pipeline.tolist() == [[[4.0, 0.0]]]


@pytest.mark.parametrize(("order", "costs", "slope"), [(4.0, [20, 4, 4], -8), (6.0, [20, 1, 2], 3)])
def test_h2_constant_orders_and_their_derivative(order, costs, slope):
    problem = SingleStoreLostSales("poisson-L1-p4", horizon=3, start="given")
    instance, _ = or_envs.sample(problem, 0, 1)
    demand = Demand(torch.full((1, 3, 1), 5.0, dtype=torch.float64))
    quantity = torch.tensor(order, dtype=torch.float64, requires_grad=True)
    actions = quantity.reshape(1, 1, 1).expand(1, 3, 1)
    rollout = simulate(problem, actions, instance.to_torch(dtype=torch.float64), demand)
    assert (-rollout.rewards).tolist() == [costs]
    (-rollout.total_reward.sum()).backward()
    assert float(quantity.grad) == slope


def rationing(must_empty=False):
    network = Network(
        nodes=("warehouse", "a", "b"),
        num_stores=2,
        edges=((OUTSIDE, 0), (0, 1), (0, 2)),
        backlog=True,
        must_empty=must_empty,
    )
    return network_problem(network, lead_time=[1, 1, 1], initial_on_hand=[10.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("must_empty", "wanted", "shipped"),
    [
        (False, [8.0, 12.0], [4.0, 6.0]),
        (False, [2.0, 3.0], [2.0, 3.0]),
        (True, [2.0, 3.0], [4.0, 6.0]),
        (True, [0.0, 0.0], [5.0, 5.0]),
    ],
)
def test_h3_rationing(must_empty, wanted, shipped):
    problem = rationing(must_empty)
    instance, _ = or_envs.sample(problem, 0, 1)
    orders = np.array([[7.0, *wanted]])
    state = problem.initial(instance)
    assert problem.ship(instance, state.on_hand, orders) == pytest.approx(
        np.array([[7.0, *shipped]]), abs=1e-9
    )
    post, _ = problem.compiled().post_decision(instance, state, orders)
    assert post.pipeline[0, 1:, 0] == pytest.approx(shipped, abs=1e-9)
    assert post.on_hand[0, 0] == pytest.approx(10 - sum(shipped))


@pytest.mark.parametrize(
    ("levels", "cost"),
    [
        ([25, 40, 60, 70], 0.0),
        ([26, 41, 61, 71], 1.0),
        ([25, 41, 61, 71], 0.5),
        ([26, 40, 60, 70], 0),
    ],
)
def test_h4_zero_variance_chain(levels, cost):
    """Echelon levels, the store's first; lead times 4, 3, 4, 2 from the store upwards."""
    network = Network(
        nodes=("3", "2", "1", "store"),
        num_stores=1,
        edges=((OUTSIDE, 0), (0, 1), (1, 2), (2, 3)),
        backlog=True,
    )
    problem = network_problem(
        network,
        horizon=60,
        action_mode="levels",
        lead_time=[2, 4, 3, 4],
        holding_cost=[0.1, 0.2, 0.5, 1.0],
        shortage_cost=[9.0],
    )
    instance, demand = or_envs.sample(problem, 0, 1)
    rollout = simulate(
        problem, np.tile(np.array(levels[::-1], float), (1, 60, 1)), instance, demand
    )
    assert -rollout.rewards[0, 40:] == pytest.approx(np.full(20, cost), abs=1e-9)


def test_h5_or_gym_serial():
    problem = or_envs.make_problem("or_envs/SerialSupplyChain-v0")
    following, cost = one_step(problem, [20.0, 20.0, 20.0], [20.0])
    assert -cost == pytest.approx(1.0)
    assert following.on_hand.tolist() == [[180.0, 80.0, 80.0]]
    # With the prices inside the chain: revenue 105, purchases 75, holding 29.
    shipped, sold = 20.0, 20.0
    revenue = sold * 2 + shipped * (1.5 + 1 + 0.75)
    purchases = shipped * (1.5 + 1 + 0.75 + 0.5)
    holding = 0.05 * 180 + 0.1 * 80 + 0.15 * 80
    assert (revenue, purchases, holding) == pytest.approx((105.0, 75.0, 29.0))
    assert -cost == pytest.approx(revenue - purchases - holding)


def test_h6_two_warehouses_with_lead_times_6_and_1():
    network = Network(
        nodes=("slow", "fast", "store"),
        num_stores=1,
        edges=((OUTSIDE, 0), (OUTSIDE, 1), (0, 2), (1, 2)),
        backlog=False,
    )
    problem = network_problem(
        network, horizon=8, lead_time=[3, 3, 6, 1], initial_on_hand=[9.0, 9.0, 0.0]
    )
    instance, _ = or_envs.sample(problem, 0, 1)
    state = problem.initial(instance)
    stock = []
    for period in range(7):
        order = np.array([[0.0, 0.0, 2.0, 3.0]]) if period == 0 else np.zeros((1, 4))
        post, _ = problem.post_decision(instance, state, order)
        state, _, _ = problem.transition(instance, post, Demand(np.zeros((1, 1))))
        stock.append(float(state.on_hand[0, 2]))
    assert stock == [3.0, 3.0, 3.0, 3.0, 3.0, 5.0, 5.0]


def test_h7_dual_sourcing_with_constant_demand():
    problem = or_envs.make_problem("or_envs/DualSourcing-v0", instance="L2-c105", horizon=30)
    instance, _ = or_envs.sample(problem, 0, 1)
    instance, demand = problem.apply_options(
        instance,
        None,
        {"on_hand": [2.0], "pipeline": [[2.0, 0.0], [0.0, 0.0]], "demand": np.full((30, 1), 2.0)},
    )
    actions = np.tile(np.array([2, 0]), (1, 30, 1))
    costs = -simulate(problem, actions, instance, demand).rewards
    assert costs.tolist() == [[200.0] * 30]


def test_expedited_units_arrive_before_demand():
    problem = or_envs.make_problem("or_envs/DualSourcing-v0", instance="L2-c105")
    following, cost = one_step(problem, [0.0, 3.0], [2.0])
    assert following.on_hand.tolist() == [[1.0]]
    assert cost == pytest.approx(3 * 105 + 5)


def test_fixed_cost_is_paid_per_order():
    problem = SingleStoreBacklog("poisson-L1-p9-K64", start="given")
    assert one_step(problem, [3.0], [0.0])[1] == 64.0
    assert one_step(problem, [0.0], [0.0])[1] == 0.0


def test_action_modes():
    network = rationing().network
    data = {"lead_time": [1, 1, 1], "initial_on_hand": [10.0, 2.0, 0.0]}

    def orders(action, mode):
        problem = network_problem(network, action_mode=mode, limit=50.0, **data)
        instance, _ = or_envs.sample(problem, 0, 1)
        import array_api_compat.numpy as xp

        value = np.array([action], dtype=float)
        return problem.decoder.orders(xp, instance, problem.initial(instance), value)[0].tolist()

    assert orders([5.0, 4.0, 3.0], "orders") == [5.0, 4.0, 3.0]
    # The warehouse's echelon holds 12, the stores 2 and 0.
    assert orders([20.0, 6.0, 1.0], "levels") == [8.0, 4.0, 1.0]
    assert orders([0.5, 0.3, 0.2], "shares") == [25.0, 3.0, 2.0]


def test_warm_up_and_horizon():
    problem = SingleStoreLostSales("poisson-L2-p9", horizon=12)
    late = problem.with_horizon(12, 5)
    instance, demand = or_envs.sample(problem, 3, 4)
    actions = np.full((4, 12, 1), 5)
    plain = simulate(problem, actions, instance, demand).rewards
    warm = simulate(late, actions, instance, demand).rewards
    assert not warm[:, :5].any()
    np.testing.assert_array_equal(warm[:, 5:], plain[:, 5:])
    assert late.cost_divisor == 7.0
    assert (problem.horizon, problem.warm_up) == (12, 0)
    with pytest.raises(ValueError, match=r"warm_up: expected an integer in 0\.\.11, got 12"):
        problem.with_horizon(12, 12)
