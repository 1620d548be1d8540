"""Solvers of routing problems against each other, against brute force, and against bounds."""

import itertools

import numpy as np
import pytest

import or_envs
from baselines.common.solution import check_replay
from baselines.registration import make
from baselines.routing.subtour import components, minimum_cut

CASES = [
    ("TSP", {"num_cities": 7}, "subtour_elimination"),
    ("TSP", {"num_cities": 7}, "iterated_local_search"),
    ("TSP", {"num_cities": 7}, "asymmetric_search"),
    ("TSP", {"num_cities": 7}, "fast_tsp"),
    ("ATSP", {"num_cities": 7}, "subtour_elimination"),
    ("ATSP", {"num_cities": 7}, "asymmetric_search"),
]


def one(id, kwargs, seed):
    problem = or_envs.make_problem(f"or_envs/{id}-v0", **kwargs)
    return problem, or_envs.sample(problem, seed, 1)[0]


def cost(problem, instance, solver, **settings):
    solution = make(f"routing/{solver}", problem, 0, **settings).solve(instance)
    return check_replay(problem, solution, instance)


@pytest.mark.parametrize(("id", "kwargs", "solver"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_seven_cities_are_solved(id, kwargs, solver, seed):
    problem, instance = one(id, kwargs, seed)
    orders = np.array(list(itertools.permutations(range(1, 7))))
    lengths = -or_envs.simulate(problem, orders, instance.repeat(len(orders))).total_reward
    assert cost(problem, instance, solver) == pytest.approx(lengths.min(), rel=1e-9)


@pytest.mark.parametrize("num_cities", [3, 4, 5, 20])
@pytest.mark.parametrize("id", ["TSP", "ATSP"])
def test_heuristics_are_not_below_the_optimum(id, num_cities):
    problem, instance = one(id, {"num_cities": num_cities}, 5)
    solution = make("routing/subtour_elimination", problem).solve(instance)
    best = check_replay(problem, solution, instance)
    assert solution.status == "optimal"
    assert solution.bound == pytest.approx(best, rel=1e-6)
    search = "iterated_local_search" if id == "TSP" else "asymmetric_search"
    assert cost(problem, instance, search) == pytest.approx(best, rel=1e-9)
    for order in ("random", "farthest", "nearest"):
        found = cost(problem, instance, "insertion", order=order)
        assert found >= best - 1e-9
        if id == "TSP":
            better = cost(problem, instance, "insertion", order=order, improve=True)
            assert best - 1e-9 <= better <= found + 1e-9


def test_heuristics_have_the_gaps_of_the_literature():
    """100 instances of Kool's TSP50: 23, 7.1, 5.6 and 2 to 3 %."""
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=50, instance="kool")
    instance, _ = or_envs.sample(problem, 0, 100)

    def costs(name, **settings):
        solver = make(f"routing/{name}", problem, 0, **settings)
        rows = (instance.rows(np.array([row])) for row in range(100))
        return np.array([solver.solve(row).objective for row in rows])

    best = costs("iterated_local_search", iterations=10)
    for name, settings, low, high in (
        ("insertion", {"order": "nearest"}, 0.19, 0.27),
        ("insertion", {}, 0.06, 0.085),
        ("insertion", {"order": "farthest"}, 0.045, 0.068),
        ("two_opt", {}, 0.015, 0.035),
        ("random_two_opt", {}, 0.02, 0.04),
    ):
        assert low < (costs(name, **settings) / best - 1).mean() < high


def test_nearest_neighbour_by_hand():
    points = np.array([0.5, 0.45, 0.56, 0.35, 0.7, 0.1, 1.0])
    nodes = np.stack([points, np.zeros(7)], axis=1)
    env = or_envs.make_problem("or_envs/TSP-v0", num_cities=7)
    instance, _ = or_envs.sample(env, 0, 1)
    instance, _ = env.apply_options(instance, None, {"coordinates": nodes})
    rule = make("routing/nearest_neighbour", env)
    rollout = or_envs.simulate(env, rule, instance)
    assert rollout.actions[0].tolist() == [1, 3, 2, 4, 6, 5]
    assert -rollout.total_reward[0] == pytest.approx(2.1)
    assert cost(env, instance, "subtour_elimination") == pytest.approx(1.8)


@pytest.mark.parametrize("mode", ["bq", "direct"])
def test_vehicle_heuristics_are_not_below_hybrid_genetic_search(mode):
    kwargs = {"num_customers": 20, "mode": mode}
    for seed in range(4):
        problem, instance = one("CVRP", kwargs, seed)
        best = cost(problem, instance, "hybrid_genetic", iterations=300)
        for name in ("savings", "sweep"):
            assert best - 1e-9 <= cost(problem, instance, name) < 1.35 * best
        rule = make("routing/nearest_neighbour", problem)
        assert -or_envs.simulate(problem, rule, instance).total_reward[0] >= best - 1e-9


def test_hybrid_genetic_search_solves_five_customers():
    from tests.routing.helpers import best_reward

    for seed in range(3):
        problem, instance = one("CVRP", {"num_customers": 5, "capacity": 12}, seed)
        best = -best_reward(problem, instance)
        assert cost(problem, instance, "hybrid_genetic", iterations=50) == pytest.approx(best)
        assert cost(problem, instance, "savings") >= best - 1e-9


def test_orienteering_optima_of_the_test_set():
    problem = or_envs.make_problem("or_envs/Orienteering-v0", num_customers=20, instance="kool")
    instance, _ = or_envs.sample(problem, 0, 6)
    for row, prize in enumerate((5.24, 6.42, 4.53, 5.87, 3.46, 5.06)):
        data = instance.rows(np.array([row]))
        assert cost(problem, data, "orienteering_dp") == pytest.approx(-prize)
        assert cost(problem, data, "orienteering_search", iterations=500) == pytest.approx(-prize)
    rule = make("routing/prize_ratio", problem)
    assert (or_envs.simulate(problem, rule, instance).total_reward < 6.43).all()


@pytest.mark.parametrize("mode", ["bq", "direct"])
def test_orienteering_program_equals_exhaustive_search(mode):
    from tests.routing.helpers import best_reward

    for seed in range(3):
        kwargs = {"num_customers": 5, "budget": 1.6, "mode": mode}
        problem, instance = one("Orienteering", kwargs, seed)
        best = best_reward(problem, instance)
        assert cost(problem, instance, "orienteering_dp") == pytest.approx(-best)


@pytest.mark.parametrize("formulation", ["flow", "mtz"])
@pytest.mark.parametrize("seed", range(2))
def test_compact_programs_are_exact(formulation, seed):
    for id in ("TSP", "ATSP"):
        problem, instance = one(id, {"num_cities": 8}, seed)
        solution = make("routing/compact", problem, formulation=formulation).solve(instance)
        assert solution.status == "optimal"
        best = cost(problem, instance, "subtour_elimination")
        assert check_replay(problem, solution, instance) == pytest.approx(best, rel=1e-7)
    problem, instance = one("CVRP", {"num_customers": 7}, seed)
    best = cost(problem, instance, "hybrid_genetic", iterations=200)
    solution = make("routing/compact", problem, formulation=formulation).solve(instance)
    assert check_replay(problem, solution, instance) == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("id", ["TSP", "ATSP"])
def test_lkh_is_optimal_where_subtour_elimination_is(id):
    pytest.importorskip("elkai")
    for size in (2, 3, 15):
        problem, instance = one(id, {"num_cities": size}, 1)
        best = cost(problem, instance, "lkh")
        if size > 2:
            expected = cost(problem, instance, "subtour_elimination")
            assert best == pytest.approx(expected, rel=1e-6)


def test_minimum_cut_by_hand():
    weights = np.zeros((5, 5))
    for a, b, w in ((0, 1, 3), (1, 2, 3), (0, 2, 3), (2, 3, 1), (3, 4, 4)):
        weights[a, b] = weights[b, a] = w
    weight, side = minimum_cut(weights)
    assert weight == 1
    assert sorted(side) in ([0, 1, 2], [3, 4])
    assert [group.tolist() for group in components(weights > 1)] == [[3, 4], [0, 1, 2]]


@pytest.mark.parametrize(
    ("name", "id", "settings", "message"),
    [
        ("iterated_local_search", "ATSP", {}, "problem: expected TSP, got ATSP"),
        ("fast_tsp", "ATSP", {}, "problem: expected TSP, got ATSP"),
        ("two_opt", "ATSP", {}, "improve: expected False for ATSP"),
        ("insertion", "TSP", {"order": "best"}, "order: expected 'random', 'farthest'"),
        ("savings", "TSP", {}, "problem: expected CVRP, got TSP"),
        ("orienteering_dp", "TSP", {}, "problem: expected Orienteering, got TSP"),
        ("nearest_neighbour", "Knapsack", {}, "problem: expected TSP, ATSP or CVRP"),
    ],
)
def test_wrong_problems_are_refused(name, id, settings, message):
    problem = or_envs.make_problem(f"or_envs/{id}-v0")
    with pytest.raises(ValueError, match=message):
        make(f"routing/{name}", problem, 0, **settings)


def test_pyvrp_is_near_the_best():
    for seed in range(2):
        problem, instance = one("CVRP", {"num_customers": 12}, seed)
        best = cost(problem, instance, "hybrid_genetic", iterations=200)
        assert best - 1e-9 <= cost(problem, instance, "pyvrp", iterations=300) <= 1.05 * best
        problem, instance = one("Orienteering", {"num_customers": 10}, seed)
        best = cost(problem, instance, "orienteering_dp")
        assert best - 1e-9 <= cost(problem, instance, "pyvrp", iterations=200) <= 0.8 * best
