"""Exact solvers against published tables, brute force and each other."""

import itertools

import numpy as np
import pytest

import or_envs
from baselines.inventory import bounds, clark_scarf, laws, newsvendor
from baselines.inventory.dual_sourcing import DualSourcingModel
from baselines.inventory.lost_sales import LostSales, base_stock, capped_base_stock
from baselines.inventory.s_s import optimal_s_q, optimal_s_s
from baselines.registration import make
from or_envs.inventory import published

P = (4, 9, 19, 39)

NORMAL = {
    1: (3.167, 3.970, 4.667, 5.289),
    4: (5.006, 6.277, 7.378, 8.362),
    7: (6.332, 7.939, 9.332, 10.577),
    10: (7.425, 9.309, 10.942, 12.402),
    15: (8.954, 11.227, 13.196, 14.956),
    20: (10.258, 12.861, 15.117, 17.134),
}


@pytest.mark.parametrize("lead_time", NORMAL)
def test_base_stock_of_clipped_normal_demand(lead_time):
    law = laws.clipped_normal(5, 1.6, 0.01)
    found = [newsvendor.exact(lead_time, 1, p, law, 0.01)[1] for p in P]
    assert found == pytest.approx(NORMAL[lead_time], abs=6e-4)


def test_base_stock_levels():
    law = laws.clipped_normal(5, 1.6, 0.01)
    levels = [newsvendor.exact(lead, 1, p, law, 0.01)[0] for lead in (1, 4) for p in P]
    expected = [11.90, 12.90, 13.72, 14.44, 28.02, 29.58, 30.88, 32.02]
    assert levels == pytest.approx(expected, abs=0.015)
    assert newsvendor.normal(4, 1, 9, 5, 1.6) == pytest.approx((29.585, 6.2788), abs=1e-3)


@pytest.mark.parametrize(
    ("lead_time", "costs", "levels"),
    [
        (1, (4.6124, 5.8694, 7.0696, 8.1079), (13, 14, 15, 17)),
        (2, (5.5880, 7.1230, 8.5245, 9.7391), (18, 20, 22, 23)),
        (4, (7.1698, 9.1510, 10.8730, 12.4010), (29, 32, 33, 35)),
    ],
)
def test_base_stock_of_poisson_demand(lead_time, costs, levels):
    found = [newsvendor.exact(lead_time, 1, p, laws.poisson(5)) for p in P]
    assert [level for level, _ in found] == list(levels)
    assert [cost for _, cost in found] == pytest.approx(costs, abs=6e-5)


SERIAL = {
    (1, 4): (6.899, [13.62, 30.68, 54.28, 64.42]),
    (1, 9): (8.367, [14.66, 32.54, 56.82, 67.36]),
    (1, 19): (9.608, [15.54, 34.08, 58.86, 69.72]),
    (1, 39): (10.701, [16.34, 35.42, 60.62, 71.72]),
    (2, 4): (7.598, [19.44, 36.00, 59.44, 69.52]),
    (2, 9): (9.261, [20.70, 38.06, 62.16, 72.64]),
    (2, 19): (10.670, [21.78, 39.78, 64.36, 75.14]),
    (2, 39): (11.913, [22.76, 41.26, 66.26, 77.26]),
    (3, 4): (8.206, [25.12, 41.30, 64.62, 74.64]),
    (3, 9): (10.037, [26.58, 43.54, 67.50, 77.92]),
    (3, 19): (11.592, [27.84, 45.40, 69.84, 80.54]),
    (3, 39): (12.965, [28.96, 47.02, 71.84, 82.78]),
    (4, 4): (8.752, [30.74, 46.60, 69.80, 79.76]),
    (4, 9): (10.734, [32.36, 49.00, 72.82, 83.18]),
    (4, 19): (12.420, [33.76, 51.00, 75.28, 85.94]),
    (4, 39): (13.910, [35.02, 52.74, 77.40, 88.28]),
}


@pytest.mark.parametrize("key", SERIAL, ids=str)
def test_clark_scarf(key):
    lead_time, p = key
    law = laws.clipped_normal(5, 2, 0.02)
    found = clark_scarf.solve([lead_time, 3, 4, 2], [1, 0.5, 0.2, 0.1], p, law, 0.02)
    cost, levels = SERIAL[key]
    assert found.cost == pytest.approx(cost, abs=6e-4)
    assert found.levels == pytest.approx(levels, abs=0.021)


@pytest.mark.parametrize(
    ("stages", "cost"), [(3, 9.869), (4, 10.734), (5, 10.987), (6, 11.707), (7, 12.289)]
)
def test_clark_scarf_of_the_chains(stages, cost):
    problem = or_envs.make_problem("or_envs/SerialInventory-v0", instance=f"L4-p9-S{stages}")
    bound = make("inventory/optimal_value", problem).solve(None).bound
    assert bound / problem.cost_divisor == pytest.approx(cost, abs=1.1e-3)


def test_clark_scarf_worked_instances():
    law = laws.clipped_normal(5, 2, 0.02)
    one = clark_scarf.solve([4], [1], 9, laws.clipped_normal(5, 1.6, 0.02), 0.02)
    assert one.cost == pytest.approx(6.2769, abs=1e-3)
    two = clark_scarf.solve([2, 3], [1, 0.5], 9, law, 0.02)
    assert two.cost == pytest.approx(7.9673, abs=1e-3)
    three = clark_scarf.solve([4, 3, 2], [1, 0.5, 0.1], 9, law, 0.02)
    assert three.cost == pytest.approx(9.8688, abs=1e-3)
    # Snyder and Shen, example 6.1, whose cost includes what is in transit.
    book = clark_scarf.solve([0, 1, 2], [7, 4, 2], 37.12, laws.clipped_normal(5, 1, 0.02), 0.02)
    assert book.cost + 5 * (4 * 1 + 2 * 2 - 2) == pytest.approx(47.6654, abs=0.02)
    assert book.levels == pytest.approx([6.484, 12.028, 22.720], abs=0.03)


LOST = {
    "poisson": {
        1: (4.0407, 5.4382, 6.6757, 7.8359),
        2: (4.3953, 6.0936, 7.6644, 9.1064),
        3: (4.5987, 6.5314, 8.3625, 10.0385),
        4: (4.7285, 6.8360, 8.8872, 10.7944),
    },
    "geometric": {
        1: (9.8175, 14.5082, 19.2179, 23.8657),
        2: (10.2403, 15.5029, 20.8906, 26.2138),
        3: (10.4670, 16.1369, 22.0647, 27.9637),
        4: (10.6067, 16.5776, 22.9532, 29.3561),
    },
}
LAWS = {"poisson": laws.poisson(5.0), "geometric": laws.geometric(5.0)}


@pytest.mark.parametrize(
    ("name", "lead_time"),
    [
        *(("poisson", lead) for lead in (1, 2, 3, 4)),
        *(("geometric", lead) for lead in (1, 2, 3)),
        pytest.param("geometric", 4, marks=pytest.mark.slow),
    ],
)
def test_lost_sales(name, lead_time):
    found = [LostSales(lead_time, 1.0, float(p), LAWS[name]).solve() for p in P]
    # The table's figures are known to 5e-4.
    assert [f.value for f in found] == pytest.approx(LOST[name][lead_time], abs=4e-4)
    assert all(f.high - f.low <= 1e-4 for f in found)


HEURISTICS = {
    1: [(4.163, 12, 4.065, (12, 6)), (5.548, 13, 5.481, (14, 6)), (6.728, 15, 6.688, (15, 8)),
        (7.863, 16, 7.843, (16, 9))],
    2: [(4.639, 16, 4.406, (17, 5)), (6.316, 19, 6.119, (19, 6)), (7.842, 21, 7.721, (21, 7)),
        (9.190, 22, 9.133, (22, 8))],
    3: [(4.975, 20, 4.631, (21, 5)), (6.864, 23, 6.616, (24, 6)), (8.605, 26, 8.401, (26, 6)),
        (10.218, 28, 10.085, (28, 7))],
}  # fmt: skip


@pytest.mark.parametrize("lead_time", [1, 2])
@pytest.mark.parametrize("place", range(4))
def test_best_heuristics_of_lost_sales(lead_time, place):
    """All levels and caps around the best, evaluated exactly."""
    base_cost, base_level, cost, (level, cap) = HEURISTICS[lead_time][place]
    model = LostSales(
        lead_time, 1.0, float(P[place]), LAWS["poisson"], largest_stock=32, largest_order=26
    )
    costs = {s: model.evaluate(base_stock(s)).value for s in range(base_level - 2, base_level + 3)}
    assert min(costs, key=costs.get) == base_level
    assert costs[base_level] == pytest.approx(base_cost, abs=6e-4)
    capped = {
        (s, r): model.evaluate(capped_base_stock(s, r)).value
        for s, r in itertools.product(range(level - 1, level + 2), range(cap - 1, cap + 2))
    }
    assert min(capped, key=capped.get) == (level, cap)
    assert capped[level, cap] == pytest.approx(cost, abs=6e-4)
    assert model.solve().value < capped[level, cap] < costs[base_level]


@pytest.mark.parametrize("place", range(4))
def test_heuristics_of_lost_sales_with_lead_time_3(place):
    base_cost, base_level, cost, (level, cap) = HEURISTICS[3][place]
    model = LostSales(3, 1.0, float(P[place]), LAWS["poisson"], 40, 28)
    assert model.evaluate(base_stock(base_level)).value == pytest.approx(base_cost, abs=6e-4)
    assert model.evaluate(capped_base_stock(level, cap)).value == pytest.approx(cost, abs=6e-4)


def test_lost_sales_by_brute_force():
    """L = 1: the long-run cost of every stationary policy of a tiny instance, by its chain."""
    law, top = np.array([0.3, 0.4, 0.3]), 4
    model = LostSales(1, 1.0, 3.0, law, largest_stock=top, largest_order=2)
    stock = np.arange(top + 1)
    left = stock[:, None] - np.arange(3)
    cost = np.where(left >= 0, left, -3.0 * left) @ law
    best = np.inf
    for table in itertools.product(range(3), repeat=top + 1):
        step = np.zeros((top + 1, top + 1))
        for x, q in enumerate(table):
            for d, probability in enumerate(law):
                step[x, min(max(x - d, 0) + q, top)] += probability
        late = np.linalg.matrix_power(0.5 * (step + np.eye(top + 1)), 4096)
        best = min(best, (late @ cost).min())
    assert model.solve().value == pytest.approx(best, abs=2e-4)


def test_a_policy_with_two_ends_is_refused():
    """Stocks 0 and 4 are never left: the cost depends on the start."""
    model = LostSales(1, 1.0, 3.0, np.array([0.0, 1.0]), largest_stock=4, largest_order=2)
    with pytest.raises(ValueError, match="it depends on the start"):
        model.evaluate(lambda s: (s[:, 0] > 1).astype(np.int64))


def test_relations_between_optima():
    """Lost sales cost less than waiting customers; optima grow with lead time and shortage cost."""
    table = LOST["poisson"]
    assert all(a < b for lead in table for a, b in itertools.pairwise(table[lead]))
    assert all(table[lead][k] < table[lead + 1][k] for lead in (1, 2, 3) for k in range(4))
    waiting = [newsvendor.exact(4, 1, p, laws.poisson(5))[1] for p in P]
    assert all(lost < wait for lost, wait in zip(table[4], waiting, strict=True))


@pytest.mark.parametrize(
    ("cost", "lead_time", "expected"),
    [
        (105, 1, 216.0), (105, 2, 216.7698), (105, 3, 216.8767), (105, 4, 216.8931),
        (110, 2, 219.7333), (110, 3, 220.3411), (110, 4, 220.6122),
    ],
)  # fmt: skip
def test_dual_sourcing(cost, lead_time, expected):
    model = DualSourcingModel(lead_time, 5, 495, 100, cost, laws.uniform(0, 4))
    assert model.solve().value == pytest.approx(expected, abs=2e-4)


def test_dual_sourcing_heuristics():
    """Capped dual index (4, 7, 2), and expediting everything, with exact evaluation."""
    model = DualSourcingModel(2, 5, 495, 100, 105, laws.uniform(0, 4))

    def capped(states):
        fast = np.maximum(4 - states[:, 0], 0)
        position = states.sum(axis=1) + fast
        return np.clip(7 - position, 0, 2), fast

    assert model.evaluate(capped).value == pytest.approx(216.78, abs=0.02)
    only = model.evaluate(lambda s: (np.zeros(len(s)), np.maximum(4 - s[:, 0], 0)))
    assert only.value == pytest.approx(220.0, abs=1e-3)


def test_dual_sourcing_without_variance():
    model = DualSourcingModel(2, 5, 495, 100, 105, np.array([0.0, 0.0, 1.0]))
    assert model.solve().value == pytest.approx(200.0, abs=1e-3)


def average_s_s(s, big, lead_time, h, p, fixed, law):
    """Average cost of (s, S) from the stationary law of the position."""
    total = laws.convolve(law, lead_time + 1)
    size = big - s
    step = np.zeros((size, size))  # positions S, S - 1, ..., s + 1 after ordering
    ordering = np.zeros(size)
    for j in range(size):
        for k, probability in enumerate(law):
            if j + k < size:
                step[j, j + k] += probability
            else:
                step[j, 0] += probability
                ordering[j] += probability
    values, vectors = np.linalg.eig(step.T)
    stationary = np.real(vectors[:, np.argmin(abs(values - 1))])
    stationary /= stationary.sum()
    held = [newsvendor.cost_of_level(big - j, h, p, total) for j in range(size)]
    return float(stationary @ (np.array(held) + fixed * ordering))


def test_optimal_s_s_by_brute_force():
    law = laws.poisson(2.0)
    found = optimal_s_s(1, 1, 5, 8, law)
    costs = {
        (s, big): average_s_s(s, big, 1, 1, 5, 8, law)
        for s in range(0, 8)
        for big in range(s + 1, 20)
    }
    best = min(costs, key=costs.get)
    assert (found.s, found.second) == best
    assert found.cost == pytest.approx(costs[best], abs=1e-8)


def test_zheng_federgruen():
    """Their first instance: Poisson(10), h = 1, p = 9, K = 64."""
    found = optimal_s_s(0, 1, 9, 64, laws.poisson(10.0))
    assert (found.s, found.second) == (6, 40)
    assert found.cost == pytest.approx(35.02, abs=5e-3)
    lots = optimal_s_q(0, 1, 9, 64, laws.poisson(10.0))
    assert lots.cost > found.cost


def test_transshipment_bounds():
    expected = {3: 8.5337, 5: 7.9021, 10: 8.2970, 20: 8.7311, 30: 8.3773, 50: 8.1181}
    for n, value in expected.items():
        std = published.stores(n).std
        assert bounds.transshipment(std, 0.5, 1, 9, 3, 4) == pytest.approx(value, abs=5e-5)
    more = {
        (3, 2, 4): 5.7537, (3, 2, 9): 7.2136, (3, 6, 4): 7.7172, (3, 6, 9): 9.6753,
        (5, 2, 4): 5.2964, (5, 2, 9): 6.6402, (5, 6, 4): 7.1695, (5, 6, 9): 8.9886,
        (10, 2, 4): 5.5359, (10, 2, 9): 6.9405, (10, 6, 4): 7.5462, (10, 6, 9): 9.4609,
    }  # fmt: skip
    for (n, lead, p), value in more.items():
        std = published.stores(n).std
        assert bounds.transshipment(std, 0.5, 1, p, 3, lead) == pytest.approx(value, abs=5e-5)
    for n, value in {3: 5.1514, 5: 4.5912, 10: 4.6735}.items():
        std = published.stores(n).std
        assert bounds.transshipment(std, 0.0, 1, 4, 3, 2) == pytest.approx(value, abs=5e-5)
    problem = or_envs.make_problem("or_envs/Transshipment-v0", instance="n10-L4-p9")
    found = make("inventory/lower_bound", problem).solve(None).bound / problem.cost_divisor
    assert found == pytest.approx(8.2970, abs=5e-5)


def test_laws():
    assert laws.poisson(5.0) @ np.arange(len(laws.poisson(5.0))) == pytest.approx(5.0)
    geometric = laws.geometric(5.0)
    assert geometric[:3] == pytest.approx([1 / 6, 5 / 36, 25 / 216])
    twice = laws.convolve(laws.uniform(0, 1), 2)
    assert twice == pytest.approx([0.25, 0.5, 0.25])
    long = laws.convolve(laws.clipped_normal(5, 2, 0.05), 7)
    assert long @ np.arange(len(long)) * 0.05 == pytest.approx(35.0, abs=0.05)
