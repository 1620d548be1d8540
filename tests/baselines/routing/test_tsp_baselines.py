from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from baselines.common.solution import check_replay, replay
from baselines.registration import make
from baselines.routing.fast_tsp import FastTSP
from baselines.routing.genetic import GeneticTSP, memetic
from baselines.routing.rules import LargestShare, NearestNeighbour
from or_envs.core import sample, simulate
from or_envs.routing.atsp import ATSP, ATSPInstance
from or_envs.routing.tsp import TSP, TSPInstance

LINE = [0.5, 0.45, 0.56, 0.35, 0.7, 0.1, 1.0]


def cities(coordinates) -> TSPInstance:
    return TSPInstance.euclidean(np.array(coordinates, dtype=float)[None])


def polygon(corners: int) -> TSPInstance:
    angle = 2 * np.pi * np.arange(corners) / corners
    return cities(0.5 + 0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def grid(side: int) -> TSPInstance:
    ticks = np.linspace(0, 1, side)
    return cities(list(itertools.product(ticks, ticks)))


def line() -> TSPInstance:
    return cities([(x, 0.0) for x in LINE])


HAND_CASES = {
    "square": (cities([(0, 0), (1, 1), (1, 0), (0, 1)]), 4.0),
    "square and its centre": (cities([(0, 0), (1, 1), (1, 0), (0.5, 0.5), (0, 1)]), 3 + np.sqrt(2)),
    "hexagon": (polygon(6), 3.0),
    "100-gon": (polygon(100), 100 * np.sin(np.pi / 100)),
    "4x4 grid": (grid(4), 16 / 3),
    "3x3 grid": (grid(3), 0.5 * (8 + np.sqrt(2))),
    "line": (line(), 1.8),
    "two cities": (cities([(0, 0), (3, 4)]), 10.0),
    "one place": (cities([(0.5, 0.5)] * 5), 0.0),
    "large numbers": (cities([(0, 0), (4000, 3000), (4000, 0), (0, 3000)]), 14000.0),
}


@pytest.mark.parametrize("name", HAND_CASES)
def test_fast_tsp_on_hand_cases(name: str) -> None:
    instance, length = HAND_CASES[name]
    problem = TSP(instance.coordinates.shape[1])
    solution = FastTSP(problem).solve(instance, time_limit=0.5)
    assert check_replay(problem, solution, instance) == pytest.approx(length)
    assert 0 not in solution.actions


@pytest.mark.parametrize("name", ["square", "hexagon", "3x3 grid", "line"])
def test_genetic_on_hand_cases(name: str) -> None:
    instance, length = HAND_CASES[name]
    problem = TSP(instance.coordinates.shape[1])
    solution = GeneticTSP(problem, generations=60).solve(instance)
    assert check_replay(problem, solution, instance) == pytest.approx(length)


@pytest.mark.parametrize("solver", ["subtour_elimination", "memetic", "iterated_local_search"])
@pytest.mark.parametrize("name", [name for name in HAND_CASES if name != "two cities"])
def test_exact_and_strong_solvers_on_hand_cases(name: str, solver: str) -> None:
    instance, length = HAND_CASES[name]
    problem = TSP(instance.coordinates.shape[1])
    solution = make(f"routing/{solver}", problem).solve(instance)
    assert check_replay(problem, solution, instance) == pytest.approx(length)


@pytest.mark.parametrize(
    "solver", ["subtour_elimination", "memetic", "genetic", "asymmetric_search", "compact"]
)
def test_one_way_round_of_three_cities(solver: str) -> None:
    one_way = ATSPInstance(np.array([[[0.0, 1, 10], [10, 0, 1], [1, 10, 0]]]))
    solution = make(f"routing/{solver}", ATSP(3)).solve(one_way)
    assert solution.actions.tolist() == [1, 2]
    assert check_replay(ATSP(3), solution, one_way) == 3
    back = dataclasses.replace(solution, actions=np.array([2, 1]))
    assert replay(ATSP(3), back, one_way) == 30


def test_nearest_neighbour_on_the_line() -> None:
    instance = line()
    rollout = simulate(TSP(7), NearestNeighbour(), instance)
    order = [LINE[i] for i in rollout.actions[0]]
    assert order == [0.45, 0.35, 0.56, 0.7, 1.0, 0.1]
    assert -rollout.total_reward[0] == pytest.approx(2.1)


def test_nearest_neighbour_batches_as_rows() -> None:
    problem = TSP(12)
    instance, _ = sample(problem, 0, 5)
    together = simulate(problem, NearestNeighbour(), instance)
    for row in range(5):
        alone = simulate(problem, NearestNeighbour(), instance.rows(np.array([row])))
        assert np.array_equal(alone.actions[0], together.actions[row])


def test_nearest_neighbour_is_about_a_fifth_above_the_best_tours() -> None:
    problem = TSP(50)
    instance, _ = sample(problem, 0, 40)
    nearest = -simulate(problem, NearestNeighbour(), instance).total_reward
    solver = FastTSP(problem)
    rows = [np.array([row]) for row in range(40)]
    best = np.array([solver.solve(instance.rows(r), time_limit=0.05).objective for r in rows])
    assert (best <= nearest + 1e-9).all()
    assert 1.18 < nearest.mean() / best.mean() < 1.29  # 23.2 % on 100 other instances


def test_largest_shares_by_hand() -> None:
    """On a line the trees are the tour; the rest of it, there and back, is a matter of ties."""
    ends = np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.4]]])
    instance = TSPInstance.euclidean(ends)
    tour = simulate(TSP(5), LargestShare(TSP(5)), instance)
    assert -tour.total_reward[0] == pytest.approx(4.0)
    # One tree, from city 0 through 1 and 2: its edges are there or not, and lengths break the tie.
    lone = simulate(TSP(5), LargestShare(TSP(5), trees=1, look_ahead=0), instance)
    assert lone.actions[0].tolist() == [4, 3, 2, 1]


def test_largest_shares_are_better_than_nearest_neighbours() -> None:
    problem = TSP(30)
    instance, _ = sample(problem, 0, 40)
    nearest = -simulate(problem, NearestNeighbour(), instance).total_reward
    together = simulate(problem, LargestShare(problem, look_ahead=0), instance)
    assert (-together.total_reward).mean() < 0.9 * nearest.mean()
    looking = simulate(problem, LargestShare(problem), instance)
    assert looking.total_reward.mean() > together.total_reward.mean()
    for row in range(3):
        alone = simulate(problem, LargestShare(problem), instance.rows(np.array([row])))
        assert np.array_equal(alone.actions[0], looking.actions[row])


def test_largest_share_refuses() -> None:
    with pytest.raises(ValueError, match=r"trees: expected an integer in 1..1000, got 0"):
        LargestShare(TSP(5), trees=0)
    with pytest.raises(ValueError, match=r"look_ahead: expected an integer in 0..1000, got -1"):
        LargestShare(TSP(5), look_ahead=-1)
    with pytest.raises(ValueError, match="problem: expected TSP, got ATSP"):
        LargestShare(ATSP(5))  # type: ignore[arg-type]


def test_fast_tsp_finds_the_optimum_of_seven_cities() -> None:
    problem = TSP(7)
    tours = np.array(list(itertools.permutations(range(1, 7))))
    for seed in range(5):
        instance, _ = sample(problem, seed, 1)
        best = -simulate(problem, tours, instance.repeat(len(tours))).total_reward.max()
        solution = FastTSP(problem).solve(instance, time_limit=0.2)
        assert check_replay(problem, solution, instance) == pytest.approx(best, abs=1e-4)


def test_genetic_tours_are_valid_and_seeded() -> None:
    problem = TSP(20)
    instance, _ = sample(problem, 0, 1)
    solver = GeneticTSP(problem, seed=1, population=30, generations=20)
    solution = solver.solve(instance)
    assert sorted(solution.actions) == list(range(1, 20))
    check_replay(problem, solution, instance)
    assert np.array_equal(solution.actions, solver.solve(instance).actions)
    nearest = -simulate(problem, NearestNeighbour(), instance).total_reward[0]
    assert solution.objective < nearest


@pytest.mark.parametrize("problem", [TSP(50), ATSP(30)], ids=["TSP", "ATSP"])
def test_memetic_tours_are_near_the_best_and_seeded(problem: TSP | ATSP) -> None:
    instance, _ = sample(problem, 0, 1)
    solution = memetic(problem, 1).solve(instance)
    check_replay(problem, solution, instance)
    assert np.array_equal(solution.actions, memetic(problem, 1).solve(instance).actions)
    best = make("routing/subtour_elimination", problem).solve(instance).objective
    assert best - 1e-9 <= solution.objective <= 1.01 * best
    plain = GeneticTSP(problem, 1, population=30, generations=100).solve(instance)
    assert solution.objective < plain.objective


def test_memetic_search_ends_when_no_other_tour_is_born() -> None:
    generations: list[int] = []
    solver = GeneticTSP(TSP(100), progress=lambda n, best: generations.append(n), improve=True)
    solution = solver.solve(polygon(100))  # whose only local optimum is the polygon
    assert solution.objective == pytest.approx(100 * np.sin(np.pi / 100))
    assert len(generations) < 20


def test_genetic_keeps_its_time_limit() -> None:
    problem = TSP(30)
    instance, _ = sample(problem, 0, 1)
    generations: list[int] = []
    solver = GeneticTSP(
        problem, generations=10_000_000, progress=lambda number, best: generations.append(number)
    )
    solution = solver.solve(instance, time_limit=0.5)
    assert solution.seconds < 10
    assert len(generations) > 1
    check_replay(problem, solution, instance)


def test_two_cities_leave_nothing_to_evolve() -> None:
    with pytest.raises(ValueError, match="num_cities"):
        GeneticTSP(TSP(2))
