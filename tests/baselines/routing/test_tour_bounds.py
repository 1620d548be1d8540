"""Lower bounds of tours: below optima, equal to hand-made values, and as tight as is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import or_envs
from baselines.common.solution import check_replay
from baselines.registration import make
from or_envs.routing.atsp import ATSP, ATSPInstance
from or_envs.routing.one_tree import one_tree
from or_envs.routing.tsp import TSP, TSPInstance

DATA = Path(__file__).parents[4] / "shared" / "data"
#: Assignment bounds of ATSP files, and lengths of their shortest tours.
ASSIGNMENTS = {"br17": (0, 39), "ftv33": (1185, 1286), "ftv70": (1766, 1950)}


def bound(name, problem, instance, **settings):
    solution = make(f"routing/{name}", problem, 0, **settings).solve(instance)
    assert solution.actions is None
    assert solution.objective == np.inf
    assert solution.status == "relaxation"
    return solution.bound


def plane(coordinates):
    return TSPInstance.euclidean(np.array(coordinates, dtype=float)[None])


@pytest.mark.parametrize("num_cities", [2, 3, 4, 8])
@pytest.mark.parametrize("id", ["TSP", "ATSP"])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_below_the_optimum_and_heuristics_above(id, num_cities, seed):
    problem = or_envs.make_problem(f"or_envs/{id}-v0", num_cities=num_cities)
    instance, _ = or_envs.sample(problem, seed, 1)
    orders = np.array(list(itertools.permutations(range(1, num_cities))))
    lengths = -or_envs.simulate(problem, orders, instance.repeat(len(orders))).total_reward
    best = lengths.min()
    names = ["assignment_bound"] + ["one_tree_bound"] * (id == "TSP")
    for name in names:
        assert 0 < bound(name, problem, instance) <= best + 1e-9
    exact = {"subtour_elimination", "memetic"} if num_cities > 2 else set()
    for name in exact:
        solution = make(f"routing/{name}", problem).solve(instance)
        assert check_replay(problem, solution, instance) == pytest.approx(best, rel=1e-9)


def test_bounds_by_hand():
    square = plane([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert bound("one_tree_bound", TSP(4), square) == pytest.approx(4)
    assert bound("assignment_bound", TSP(4), square) == pytest.approx(4)
    one_way = np.array([[0.0, 1, 10], [10, 0, 1], [1, 10, 0]])
    assert bound("assignment_bound", ATSP(3), ATSPInstance(one_way[None])) == pytest.approx(3)
    # Two pairs far apart: each pair is a circle of its own.
    pairs = plane([(0, 0), (9, 0), (1, 0), (10, 0)])
    assert bound("assignment_bound", TSP(4), pairs) == pytest.approx(4)
    assert bound("one_tree_bound", TSP(4), pairs) == pytest.approx(20)
    assert bound("one_tree_bound", TSP(5), plane([(0.5, 0.5)] * 5)) == 0
    corners = 2 * np.pi * np.arange(100) / 100
    polygon = plane(0.5 + 0.5 * np.stack([np.cos(corners), np.sin(corners)], axis=1))
    assert bound("one_tree_bound", TSP(100), polygon) == pytest.approx(100 * np.sin(np.pi / 100))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_tree_by_hand(kind):
    """Cities 1, 2, 3 around 0: a path of the three, and the two shortest edges of city 0."""
    between = np.array([[0, 3, 9], [3, 0, 5], [9, 5, 0]], kind)
    ends = np.array([1, 2, 4], kind)

    def found(*multipliers, back=ends):
        edges, parent = np.empty((2, 2), np.int64), np.empty(3, np.int32)
        room = np.empty(3, kind), parent, np.empty(3, kind)
        length, first, last = one_tree(
            between, ends, back, np.array(multipliers, kind), edges, *room
        )
        return length, {frozenset(edge) for edge in edges.tolist()}, {first, last}

    path = {frozenset((0, 1)), frozenset((1, 2))}
    assert found(0, 0, 0) == ((3 + 5) + (1 + 2), path, {0, 1})
    # The second becomes dearer, the third cheaper: the same tree, whose third edge is paid for.
    assert found(0, 0.5, -0.5) == (11 + 0.5 * (3 - 1), path, {0, 1})
    # By 2.5, city 0 prefers the third, and the 1-tree is the tour.
    assert found(0, 2.5, -2.5) == (1 + 3 + 5 + 4, path, {0, 2})
    # A path to elsewhere: the first city is the nearest to both ends, so that one takes another.
    assert found(0, 0, 0, back=np.array([1, 9, 3], kind)) == (8 + 2 + 1, path, {0, 1})


def test_one_tree_bound_comes_near_the_optimum():
    problem = TSP(50, instance="kool")
    instance, _ = or_envs.sample(problem, 0, 20)
    gaps = []
    for row in range(20):
        data = instance.rows(np.array([row]))
        best = make("routing/iterated_local_search", problem).solve(data).objective
        gaps.append(1 - bound("one_tree_bound", problem, data) / best)
    assert min(gaps) > -1e-9
    assert np.mean(gaps) < 0.01  # 0.5 %


def test_one_tree_bound_keeps_its_time_limit():
    problem = TSP(50)
    instance, _ = or_envs.sample(problem, 0, 1)
    solver = make("routing/one_tree_bound", problem)
    hasty, patient = solver.solve(instance, time_limit=0.0), solver.solve(instance)
    assert 0 < hasty.bound <= patient.bound


@pytest.mark.parametrize("problem", [TSP(60), ATSP(60)], ids=["TSP", "ATSP"])
def test_subtour_elimination_without_time_has_a_bound_and_no_tour(problem):
    instance, _ = or_envs.sample(problem, 0, 1)
    solver = make("routing/subtour_elimination", problem)
    best = solver.solve(instance).objective
    for limit in (0.0, 0.02, 0.1):
        solution = solver.solve(instance, time_limit=limit)
        assert solution.seconds < limit + 5
        assert (solution.actions is None) == (solution.status == "time_limit")
        assert 0 <= solution.bound <= best + 1e-9


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the published instances")
@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_assignment_bounds_of_published_instances(name):
    problem = ATSP(instance=str(DATA / "atsp" / f"{name}.atsp"))
    instance, _ = or_envs.sample(problem, 0, 1)
    expected, best = ASSIGNMENTS[name]
    assert bound("assignment_bound", problem, instance) == expected <= best


@pytest.mark.parametrize(
    ("name", "id", "settings", "message"),
    [
        ("one_tree_bound", "ATSP", {}, "problem: expected TSP, got ATSP"),
        ("one_tree_bound", "TSP", {"iterations": 0}, "iterations: expected an integer >= 1, got 0"),
        ("assignment_bound", "CVRP", {}, "problem: expected TSP or ATSP, got CVRP"),
        ("memetic", "CVRP", {}, "problem: expected TSP or ATSP, got CVRP"),
    ],
)
def test_wrong_arguments_are_refused(name, id, settings, message):
    problem = or_envs.make_problem(f"or_envs/{id}-v0")
    with pytest.raises(ValueError, match=message):
        make(f"routing/{name}", problem, 0, **settings)
