"""Rules against exact costs, and the laws that all rules obey."""

import numpy as np
import pytest

import or_envs
from baselines.inventory.allocation import equal_fractile
from baselines.inventory.base_stock import LevelRule
from baselines.inventory.dual_index import CappedDualIndex
from baselines.inventory.echelon_base_stock import HubRule, WarehouseRule
from baselines.registration import make
from or_envs.core import simulate
from or_envs.inventory.network import Demand

WAREHOUSE = np.array([-0.2, 1.3, 0.0, 0.9, 0.97, 1.2])


def problem_of(id, name, horizon=400, warm_up=100, **kwargs):
    return or_envs.make_problem(
        f"or_envs/{id}-v0", instance=name, horizon=horizon, warm_up=warm_up, **kwargs
    )


def costs(problem, rule, num=300, seed=0):
    instance, demand = or_envs.sample(problem, seed, num)
    return -simulate(problem, rule, instance, demand).total_reward / problem.cost_divisor


def assert_close(values, expected, errors=3.0):
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - expected) <= errors * error + 1e-9
    assert error < 0.02 * expected


@pytest.mark.parametrize(
    ("id", "name", "expected"),
    [
        ("SingleStoreLostSales", "poisson-L3-p9", 6.5314),
        ("SingleStoreLostSales", "geometric-L2-p4", 10.2403),
        ("SingleStoreLostSales", "poisson-L2-p9-n3", 6.0936),
        ("SingleStoreBacklog", "normal-L4-p9", 6.277),
        ("SingleStoreBacklog", "poisson-L2-p19", 8.5245),
        ("SingleStoreBacklog", "poisson-L4-p9-K64", 27.4384),
        ("DualSourcing", "L3-c105", 216.8767),
        ("SerialInventory", "L4-p9", 10.734),
    ],
)
def test_optimal_policies_cost_what_the_solvers_say(id, name, expected):
    problem = problem_of(id, name)
    assert_close(costs(problem, make("inventory/optimal_policy", problem)), expected)
    bound = make("inventory/optimal_value", problem).solve(None).bound / problem.cost_divisor
    assert bound == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("rule", "level", "cap", "expected"),
    [
        ("base", 25, np.inf, 5.196),
        ("capped", 26, 5, 4.797),
    ],
)
def test_published_levels_of_lost_sales(rule, level, cap, expected):
    problem = problem_of("SingleStoreLostSales", "poisson-L4-p4")
    assert_close(costs(problem, LevelRule(problem, np.array([level]), cap), 600), expected)


def test_tuned_rules_of_lost_sales_are_ordered():
    """On the same episodes: optimal, projected inventory, capped, base stock, constant order."""
    problem = problem_of("SingleStoreLostSales", "poisson-L3-p9")
    names = ("optimal_policy", "projected_inventory", "capped_base_stock", "base_stock",
             "constant_order")  # fmt: skip
    means = [costs(problem, make(f"inventory/{name}", problem)).mean() for name in names]
    assert means == sorted(means)
    assert means[2] == pytest.approx(6.616, abs=0.06)
    assert means[3] == pytest.approx(6.864, abs=0.06)
    assert costs(problem, make("inventory/myopic", problem)).mean() < means[3]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((4, 7, 2), 216.78), ((4, 7, np.inf), 217.02), ((4, np.inf, 1), 216.90)],
)
def test_dual_sourcing_rules(levels, expected):
    """Against the optimal policy on the same episodes, whose cost is known."""
    problem = problem_of("DualSourcing", "L2-c105")
    optimal = costs(problem, make("inventory/optimal_policy", problem), 1000)
    found = costs(problem, CappedDualIndex(problem, *levels), 1000)
    assert (found - optimal).mean() + 216.7698 == pytest.approx(expected, abs=0.05)


def test_hub_rule_is_near_its_lower_bound():
    problem = problem_of("Transshipment", "n5-L4-p9")
    rule = HubRule(problem, np.array([1.3]))
    values = costs(problem, rule, 600)
    bound = make("inventory/lower_bound", problem).solve(None).bound / problem.cost_divisor
    assert bound == pytest.approx(7.9021, abs=1e-4)
    error = values.std() / np.sqrt(len(values))
    assert bound - 3 * error <= values.mean() <= 1.02 * bound


def test_equal_fractile_by_hand():
    """Both stores are lifted to 2 deviations: 10 + 2 * 1 - 9 and 20 + 2 * 3 - 20."""
    shares = equal_fractile(
        np.array([9.0, 100.0]),
        np.array([[9.0, 20.0], [9.0, 20.0]]),
        np.array([10.0, 20.0]),
        np.array([1.0, 3.0]),
        np.array([[5.0], [1.0]]),
    )
    assert shares[0] == pytest.approx([3.0, 6.0], abs=1e-6)
    assert shares[1] == pytest.approx([2.0, 3.0])  # enough for all: to the highest


RULES = [
    ("OneWarehouse", "n5", lambda p: WarehouseRule(p, WAREHOUSE)),
    ("ManyWarehouses", "2x10", lambda p: WarehouseRule(p, WAREHOUSE)),
    ("Transshipment", "n5-L4-p9", lambda p: HubRule(p, np.array([1.3]))),
    ("SingleStoreLostSales", "poisson-L3-p9", lambda p: make("inventory/optimal_policy", p)),
    ("SingleStoreLostSales", "poisson-L3-p9", lambda p: make("inventory/myopic", p)),
    ("DualSourcing", "L2-c110", lambda p: make("inventory/optimal_policy", p)),
    ("SingleStoreBacklog", "poisson-L4-p9-K64", lambda p: make("inventory/s_Q", p)),
    ("SerialInventory", "L4-p9", lambda p: make("inventory/optimal_policy", p)),
]


@pytest.mark.parametrize(("id", "name", "build"), RULES)
def test_rules_are_legal_and_do_not_foresee(id, name, build):
    """Orders are the same for traces with a common past; simulate refuses illegal ones."""
    problem = problem_of(id, name, 20, 0)
    rule = build(problem)
    instance, demand = or_envs.sample(problem, 1, 4)
    other = demand.demand.copy()
    other[:, 10:] = other[:, 10:][:, ::-1] + 1.0
    first = simulate(problem, rule, instance, demand).actions
    second = simulate(problem, rule, instance, Demand(other)).actions
    np.testing.assert_array_equal(first[:, :11], second[:, :11])
    assert (first[:, 11:] != second[:, 11:]).any()


@pytest.mark.parametrize("id", ["OneWarehouse", "ManyWarehouses"])
def test_parameters_per_row_equal_single_rules(id):
    problem = problem_of(id, "n3" if id == "OneWarehouse" else "2x10", 25, 0)
    instance, demand = or_envs.sample(problem, 0, 2)
    other = WAREHOUSE + np.array([0.3, -0.1, 0.2, -0.2, 0.05, 0.4])
    both = WarehouseRule(problem, np.stack([WAREHOUSE, other]))
    together = simulate(problem, both, instance, demand).total_reward
    for row, parameters in enumerate((WAREHOUSE, other)):
        alone = simulate(problem, WarehouseRule(problem, parameters), instance, demand)
        assert together[row] == pytest.approx(alone.total_reward[row], rel=1e-9)


def test_warehouse_orders_fit_the_stock():
    problem = problem_of("ManyWarehouses", "2x10", 30, 0)
    instance, demand = or_envs.sample(problem, 0, 20)
    inner = WarehouseRule(problem, WAREHOUSE)
    sources = problem.network.incidence(0).astype(float)

    def watched(data, state):
        orders = inner(data, state)
        assert (orders @ sources.T)[:, :2] == pytest.approx(
            np.minimum((orders @ sources.T)[:, :2], state.on_hand[:, :2]), abs=1e-6
        )
        return orders

    simulate(problem, watched, instance, demand)


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("SingleStoreLostSales", "poisson-L2-p9"),
        ("SingleStoreBacklog", "poisson-L1-p9-K64"),
        ("DualSourcing", "L1-c105"),
        ("SerialInventory", "L1-p4-S3"),
        ("OneWarehouse", "n3"),
    ],
)
def test_the_genetic_algorithm_improves(id, name):
    problem = problem_of(id, name, 200, 50)
    means = []
    for generations in (1, 10):
        rule = make("inventory/genetic", problem, population=12, generations=generations,
                    num_episodes=20)  # fmt: skip
        means.append(costs(problem, rule, 100).mean())
    assert means[1] < means[0]


@pytest.mark.parametrize(
    ("name", "id", "kwargs", "message"),
    [
        ("base_stock", "SerialInventory", {}, "expected stores with 1 outside"),
        ("optimal_policy", "OneWarehouse", {}, "expected stores with 1 outside"),
        ("constant_order", "SingleStoreBacklog", {}, "constant orders need lost sales"),
        ("dual_index", "SingleStoreBacklog", {}, r"expected stores with 2 outside"),
        ("s_S", "SingleStoreLostSales", {}, "computed for waiting customers only"),
        ("projected_inventory", "SingleStoreBacklog", {}, "expected lost sales and whole demand"),
        ("lower_bound", "SerialInventory", {}, "expected a hub or warehouses"),
        ("optimal_policy", "SerialInventory", {"action_mode": "levels"}, "action_mode='orders'"),
        ("echelon_base_stock", "SerialSupplyChain", {}, "problem: expected"),
        ("base_stock", "LotSizing", {}, "expected an inventory network, got LotSizing"),
    ],
)
def test_rules_refuse_what_does_not_fit(name, id, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(f"inventory/{name}", or_envs.make_problem(f"or_envs/{id}-v0", **kwargs))
