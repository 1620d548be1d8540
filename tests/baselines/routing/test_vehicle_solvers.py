"""Solvers of CVRP and orienteering where instances are unusual, and exact ones among each other."""

import numpy as np
import pytest

import or_envs
from baselines.common.solution import check_replay
from baselines.registration import make
from baselines.routing.rounded_capacity import broken_sets, fewest_vehicles
from or_envs.routing.cvrp import CVRP, CVRPInstance
from or_envs.routing.orienteering import Orienteering
from tests.routing.helpers import best_reward


def cost(problem, instance, solver, **settings):
    solution = make(f"routing/{solver}", problem, 0, **settings).solve(instance)
    return check_replay(problem, solution, instance)


def forced(problem, **options):
    instance, _ = or_envs.sample(problem, 0, 1)
    return problem.apply_options(instance, None, options)[0]


@pytest.mark.parametrize("mode", ["bq", "direct"])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_rounded_capacity_equals_exhaustive_search(mode, size):
    problem = CVRP(size, capacity=12, mode=mode)
    for seed in range(2):
        instance, _ = or_envs.sample(problem, seed, 1)
        best = -best_reward(problem, instance)
        assert cost(problem, instance, "rounded_capacity") == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_exact_programs_agree_and_searches_are_near(seed):
    problem = CVRP(8, capacity=20)
    instance, _ = or_envs.sample(problem, seed, 1)
    solution = make("routing/rounded_capacity", problem).solve(instance)
    best = check_replay(problem, solution, instance)
    assert solution.status == "optimal"
    assert solution.bound == pytest.approx(best, rel=1e-9)
    assert cost(problem, instance, "compact") == pytest.approx(best, rel=1e-6)
    for solver in ("hybrid_genetic", "pyvrp"):
        found = cost(problem, instance, solver, iterations=200)
        assert best - 1e-9 <= found <= 1.03 * best


def test_rounded_capacity_gives_a_bound_at_the_time_limit():
    problem = CVRP(40)
    instance, _ = or_envs.sample(problem, 0, 1)
    solution = make("routing/rounded_capacity", problem).solve(instance, time_limit=0.3)
    assert solution.actions is None
    assert solution.status == "time_limit"
    assert 0 < solution.bound <= cost(problem, instance, "hybrid_genetic", iterations=200)


def test_sets_that_need_more_vehicles_by_hand():
    """Depot 0; a route of 1 and 2 that is too long, and 3 and 4 on a tour without the depot."""
    values = np.zeros((5, 5))
    for a, b, times in ((0, 1, 1), (1, 2, 1), (0, 2, 1), (3, 4, 2)):
        values[a, b] = values[b, a] = times
    demand = np.array([0, 6, 5, 1, 0])
    assert sorted(broken_sets(values, demand, 10.0)) == [((1, 2), 2), ((3, 4), 1)]
    assert broken_sets(values[:3, :3], demand[:3], 11.0) == []
    assert [fewest_vehicles(units, 10.0) for units in (0, 10, 11, 20)] == [1, 1, 2, 2]


UNUSUAL = {
    "no demand": {"demand": np.zeros(7)},
    "one without demand": {"demand": [0, 0, 5, 5, 5, 5, 5]},
    "one place": {"coordinates": np.ones((7, 2))},
    "far": {"coordinates": 1e6 * np.random.default_rng(0).random((7, 2)) - 5e5},
    "near": {"coordinates": 1e-3 * np.random.default_rng(0).random((7, 2))},
    "far and whole": {"coordinates": 3e5 * np.eye(7, 2)},
    "full vehicles": {"demand": [0, *6 * [20]], "capacity": 20},
    "large demand": {"demand": [0, *6 * [2e6]], "capacity": 5e6},
    "parts of a unit": {"demand": [0, *6 * [0.05]], "capacity": 0.125},
}


@pytest.mark.parametrize(
    ("solver", "unusual"),
    [
        (solver, unusual)
        for solver in ("hybrid_genetic", "pyvrp", "savings", "sweep")
        for unusual in UNUSUAL
        if (solver, unusual) != ("pyvrp", "parts of a unit")  # it takes whole numbers only
    ],
)
def test_unusual_instances(solver, unusual):
    """In particular, those that the library behind "hybrid_genetic" would refuse."""
    problem = CVRP(6)
    instance = forced(problem, **UNUSUAL[unusual])
    settings = {"iterations": 100} if solver in ("hybrid_genetic", "pyvrp") else {}
    best = cost(problem, instance, "rounded_capacity")
    found = cost(problem, instance, solver, **settings)
    assert best * (1 - 1e-9) <= found <= best * (1.001 if settings else 1.5) + 1e-9


def test_demand_that_a_solver_cannot_take_is_refused():
    problem = CVRP(6)
    with pytest.raises(ValueError, match=r"demand: PyVRP needs whole numbers, got 0\.05"):
        cost(problem, forced(problem, **UNUSUAL["parts of a unit"]), "pyvrp")
    with pytest.raises(ValueError, match="demand: expected > 0 at every customer"):
        cost(problem, forced(problem, **UNUSUAL["one without demand"]), "compact")
    instance = forced(problem)
    distances = np.random.default_rng(0).random((1, 7, 7))
    uneven = CVRPInstance(instance.coordinates, distances, instance.demand, instance.capacity)
    with pytest.raises(ValueError, match="distances: expected a symmetric matrix"):
        cost(problem, uneven, "rounded_capacity")
    for name in ("rounded_capacity", "hybrid_genetic", "sweep"):
        with pytest.raises(ValueError, match="problem: expected CVRP, got Orienteering"):
            make(f"routing/{name}", Orienteering(6))


@pytest.mark.slow
def test_hybrid_genetic_search_has_the_published_mean():
    """Five instances of 100 customers: 15.34762 at best."""
    rng = np.random.default_rng(1)
    problem = CVRP(100, capacity=50)
    found = []
    for _ in range(5):
        nodes, demand = rng.random((1, 101, 2)), rng.integers(1, 10, (1, 100))
        instance = CVRPInstance.euclidean(nodes, demand, np.array([50]))
        found.append(cost(problem, instance, "hybrid_genetic", iterations=1000))
    assert 15.34761 < np.mean(found) < 15.36


@pytest.mark.parametrize("mode", ["bq", "direct"])
@pytest.mark.parametrize("solver", ["orienteering_dp", "orienteering_search", "pyvrp"])
def test_customers_without_a_prize_do_not_matter(mode, solver):
    """In mode "bq" a plan still has to end where nobody is within reach."""
    problem = Orienteering(5, budget=4.0, mode=mode)
    prize = np.array([0, 0, 0.5, 0, 1, 0.2])
    for seed in range(3):
        instance, _ = or_envs.sample(problem, seed, 1)
        instance, _ = problem.apply_options(instance, None, {"prize": prize})
        best = best_reward(problem, instance)
        assert cost(problem, instance, solver) == pytest.approx(-best)


@pytest.mark.parametrize("mode", ["bq", "direct"])
def test_orienteering_searches_are_near_the_optimum_and_within_the_budget(mode):
    problem = Orienteering(11, budget=2.2, mode=mode)
    gaps = []
    for seed in range(10):
        instance, _ = or_envs.sample(problem, seed, 1)
        best = cost(problem, instance, "orienteering_dp")
        assert cost(problem, instance, "orienteering_search", iterations=300) >= best - 1e-9
        gaps.append(1 - cost(problem, instance, "orienteering_search", iterations=300) / best)
        found = cost(problem, instance, "pyvrp", iterations=100)
        assert best - 1e-9 <= found <= 0.7 * best
    assert np.mean(gaps) < 0.005
