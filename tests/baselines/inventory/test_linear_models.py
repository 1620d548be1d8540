"""Hindsight and rolling-horizon plans, replayed."""

import dataclasses
import itertools

import numpy as np
import pytest

import or_envs
from baselines.common.solution import check_replay
from baselines.inventory.network_lp import NetworkModel
from baselines.inventory.rolling_horizon import RollingHorizon, longest_path
from baselines.registration import make
from or_envs.core import simulate
from or_envs.inventory.demand import Normal
from or_envs.inventory.network import Demand, Network, make_instance
from or_envs.inventory.problem import InventoryNetwork, Setting

PROBLEMS = [
    ("SingleStoreBacklog", {"instance": "normal-L2-p9"}),
    ("SingleStoreLostSales", {"instance": "poisson-L2-p9"}),
    ("SingleStoreBacklog", {"instance": "poisson-L1-p9-K64"}),
    ("DualSourcing", {"instance": "L2-c105"}),
    ("SerialInventory", {"instance": "L2-p9-S3"}),
    ("Transshipment", {"instance": "n3-L4-p9"}),
    ("OneWarehouse", {"instance": "n3"}),
    ("ManyWarehouses", {"instance": "2x10"}),
    ("SerialSupplyChain", {"instance": "backlog"}),
    ("SerialSupplyChain", {"instance": "lost"}),
    ("SupplyNetwork", {"instance": "backlog"}),
    ("SupplyNetwork", {"instance": "lost"}),
    ("Newsvendor", {}),
    ("RetailNetwork", {"instance": "1x3"}),
]


def problem_of(id, kwargs, horizon=14):
    return or_envs.make_problem(f"or_envs/{id}-v0", horizon=horizon, **kwargs)


def one(data, row):
    return data.rows(np.array([row])) if data.num > 1 else data


@pytest.mark.parametrize(("id", "kwargs"), PROBLEMS)
def test_plans_cost_what_the_model_says(id, kwargs):
    problem = problem_of(id, kwargs)
    solver = make("inventory/hindsight", problem)
    instance, demand = or_envs.sample(problem, 3, 2)
    rng = np.random.default_rng(0)
    for row in range(2):
        data, trace = one(instance, row), one(demand, row)
        solution = solver.solve(data, trace)
        assert solution.status == "optimal"
        cost = check_replay(problem, solution, data, trace)
        assert solution.bound == pytest.approx(cost, rel=1e-6, abs=1e-6)
        for _ in range(3):
            high = problem.setting.order_limit * rng.random() * 0.3
            orders = rng.random((1, 14, len(high))) * high
            if problem.setting.integer:
                orders = np.floor(orders).astype(np.int64)
            played = -simulate(problem, orders, data, trace).total_reward[0]
            assert cost <= played + 1e-6 * max(1, abs(played))


@pytest.mark.parametrize("instance", ["backlog", "lost"])
def test_or_gym_means(instance):
    """The published traces: rng(s).poisson(20, 30), s = 0..59."""
    expected = {"backlog": (560.1, 33.1), "lost": (556.1, 29.1)}[instance]
    problem = or_envs.make_problem("or_envs/SerialSupplyChain-v0", instance=instance)
    solver = make("inventory/hindsight", problem)
    data, _ = or_envs.sample(problem, 0, 1)
    profits = []
    for seed in range(60):
        path = np.random.default_rng(seed).poisson(20, 30).astype(float)
        trace = Demand(path[None, :, None])
        profits.append(-check_replay(problem, solver.solve(data, trace), data, trace))
    assert np.mean(profits) == pytest.approx(expected[0], abs=0.1)
    assert np.std(profits) == pytest.approx(expected[1], abs=0.4)


@pytest.mark.parametrize("name", ["poisson-L1-p9", "poisson-L2-p4"])
def test_brute_force_of_whole_orders(name):
    problem = problem_of("SingleStoreLostSales", {"instance": name}, horizon=4)
    instance, demand = or_envs.sample(problem, 8, 1)
    solution = make("inventory/hindsight", problem).solve(instance, demand)
    plans = np.array(list(itertools.product(range(11), repeat=3)))
    actions = np.concatenate([plans, np.zeros((len(plans), 1), np.int64)], axis=1)[:, :, None]
    rows = np.zeros(len(plans), dtype=np.int64)
    wide = dataclasses.replace(instance, initial_on_hand=instance.initial_on_hand[rows],
                               initial_pipeline=instance.initial_pipeline[rows])  # fmt: skip
    best = -simulate(problem, actions, wide, demand.rows(rows)).total_reward.max()
    assert solution.objective == pytest.approx(best, abs=1e-6)


def chain(std=0.0):
    network = Network(("depot", "store"), 1, ((-1, 0), (0, 1)), backlog=True)
    data = make_instance(network, [2, 1], [0.2, 1.0], [9.0], [5.0], [std])
    setting = Setting(network, data, Normal(), order_limit=np.array([100.0, 100.0]))
    return InventoryNetwork(setting, horizon=20)


@pytest.mark.parametrize("mode", ["mean", "scenarios"])
def test_without_variance_nothing_is_held(mode):
    problem = chain()
    rule = RollingHorizon(problem, mode=mode, num_scenarios=3)
    assert longest_path(problem) == 3
    instance, demand = or_envs.sample(problem, 0, 1)
    rewards = simulate(problem, rule, instance, demand).rewards[0]
    assert rewards[:3].sum() < -100  # customers wait until the first goods arrive
    assert rewards[4:18] == pytest.approx(np.zeros(14), abs=1e-6)


SETTINGS = [
    {"mode": "mean"},
    {"mode": "mean", "quantile": 0.8},
    {"mode": "scenarios", "num_scenarios": 4},
    {"mode": "scenarios", "num_scenarios": 4, "recourse": "open_loop"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(
    ("id", "kwargs"),
    [
        ("OneWarehouse", {"instance": "n3"}),
        ("SingleStoreLostSales", {"instance": "poisson-L2-p9"}),
    ],
)
def test_rolling_horizon_does_not_foresee(id, kwargs, settings):
    problem = problem_of(id, kwargs, horizon=14)
    rule = make("inventory/rolling_horizon", problem, **{"horizon": 9, **settings})
    instance, demand = or_envs.sample(problem, 2, 2)
    other = demand.demand.copy()
    other[:, 4:] += 9.0
    first = simulate(problem, rule, instance, demand).actions
    second = simulate(problem, rule, instance, Demand(other)).actions
    # Solves start from the basis of the one before, which moves the last digits.
    np.testing.assert_allclose(first[:, :5], second[:, :5], atol=1e-9)
    assert abs(first[:, 5:] - second[:, 5:]).max() > 0.5


def test_more_stock_for_more_risk():
    """Sampled scenarios and quantiles order more than the mean where shortage is dear."""
    problem = chain(std=2.0)
    instance, _ = or_envs.sample(problem, 0, 1)
    state = problem.initial(instance)
    orders = {
        key: RollingHorizon(problem, 0, **settings)(instance, state)[0, 0]
        for key, settings in {
            "mean": {"mode": "mean"},
            "quantile": {"mode": "mean", "quantile": 0.9},
            "open": {"mode": "scenarios", "recourse": "open_loop", "num_scenarios": 30},
        }.items()
    }
    assert orders["mean"] < orders["open"]
    assert orders["mean"] < orders["quantile"]


def test_one_known_scenario_is_the_hindsight_plan():
    problem = problem_of("SerialSupplyChain", {"instance": "backlog"}, horizon=12)
    instance, demand = or_envs.sample(problem, 1, 1)
    plan = NetworkModel(problem, instance, 1, 12).solve(problem.initial(instance), demand.demand)
    solution = make("inventory/hindsight", problem).solve(instance, demand)
    assert plan.shipments[0] == pytest.approx(solution.actions)


def test_just_in_time_sells_everything_after_the_first_lead_time():
    problem = problem_of("RetailNetwork", {"instance": "1x3"}, horizon=20)
    instance, demand = or_envs.sample(problem, 0, 1)
    solution = make("inventory/just_in_time", problem).solve(instance, demand)
    check_replay(problem, solution, instance, demand)
    rewards = simulate(problem, solution.actions[None], instance, demand).rewards[0]
    sales = (demand.demand[0] * instance.price[0]).sum(axis=1)
    assert rewards[8:] == pytest.approx(sales[8:], rel=1e-9)
    best = make("inventory/hindsight", problem).solve(instance, demand)
    assert best.objective <= solution.objective + 1e-6


@pytest.mark.parametrize(
    ("name", "id", "kwargs", "settings", "message"),
    [
        ("hindsight", "SingleStoreBacklog", {"warm_up": 3}, {}, "expected warm_up 0, got 3"),
        ("rolling_horizon", "SingleStoreBacklog", {}, {"mode": "x"}, "mode: expected 'mean'"),
        ("rolling_horizon", "SingleStoreBacklog", {}, {"quantile": 1.0}, "quantile: expected"),
        ("rolling_horizon", "SingleStoreBacklog", {}, {"horizon": 0}, "horizon: expected"),
        ("rolling_horizon", "SingleStoreBacklog", {}, {"recourse": "x"}, "recourse: expected"),
    ],
)
def test_bad_arguments(name, id, kwargs, settings, message):
    problem = or_envs.make_problem(f"or_envs/{id}-v0", **kwargs)
    with pytest.raises(ValueError, match=message):
        make(f"inventory/{name}", problem, **settings)


def test_order_delays_and_missing_traces_are_refused():
    game = or_envs.make_problem("or_envs/BeerGame-v0", instance="C48", action_mode="orders")
    instance, demand = or_envs.sample(game, 0, 1)
    with pytest.raises(ValueError, match="no order delays"):
        make("inventory/hindsight", game).solve(instance, demand)
    problem = problem_of("OneWarehouse", {"instance": "n3"})
    instance, _ = or_envs.sample(problem, 0, 1)
    with pytest.raises(ValueError, match="exogenous: the hindsight solver"):
        make("inventory/hindsight", problem).solve(instance)
