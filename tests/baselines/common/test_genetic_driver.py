from __future__ import annotations

import numpy as np
import pytest

from baselines.common.genetic import Budget, minimize_keys, minimize_permutation, minimize_real

TARGET = np.array([0.3, -1.2, 2.5])


def sphere(x: np.ndarray) -> np.ndarray:
    return ((x - TARGET) ** 2).sum(axis=1)


def displacement(x: np.ndarray) -> np.ndarray:
    return np.abs(x - np.arange(x.shape[1])).sum(axis=1)


def run_real(seed: int = 0, **budget: float):
    low, high = np.full(3, -3.0), np.full(3, 3.0)
    return minimize_real(sphere, low, high, Budget(**({"generations": 60} | budget)), seed)


def test_real_vectors_reach_the_minimum() -> None:
    result = run_real()
    assert np.allclose(result.best, TARGET, atol=0.02)
    assert result.objective == pytest.approx(sphere(result.best[None])[0])


def test_the_box_is_kept() -> None:
    result = minimize_real(
        lambda x: x.sum(axis=1), np.array([1.0, 2.0]), np.array([3.0, 4.0]), Budget(20, 40), 0
    )
    assert (result.best >= [1, 2]).all()
    assert result.objective == pytest.approx(3, abs=0.05)


def test_permutations_reach_the_minimum() -> None:
    result = minimize_permutation(displacement, 8, Budget(60, 60), seed=1)
    assert result.best.tolist() == list(range(8))
    assert result.objective == 0


def order_of(keys: np.ndarray) -> np.ndarray:
    return displacement(keys.argsort(axis=1))


def test_keys_reach_the_minimum_and_stay_in_their_range() -> None:
    def fitness(keys: np.ndarray) -> np.ndarray:
        assert ((keys >= 0) & (keys <= 1)).all()
        return order_of(keys)

    result = minimize_keys(fitness, 8, Budget(60, 60), seed=1)
    assert result.best.argsort().tolist() == list(range(8))
    assert (np.diff(result.history) <= 0).all()
    runs = [minimize_keys(fitness, 12, Budget(20, 5), seed).history for seed in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@pytest.mark.parametrize("population", [2, 3, 7])
def test_keys_that_all_cost_the_same(population: int) -> None:
    """One individual is left, which has no other children."""
    result = minimize_keys(lambda keys: np.zeros(len(keys)), 1, Budget(population, 10), 0)
    assert result.objective == 0
    assert len(result.history) == 10


def test_every_individual_is_a_permutation() -> None:
    def fitness(x: np.ndarray) -> np.ndarray:
        assert (np.sort(x, axis=1) == np.arange(6)).all()
        return displacement(x)

    minimize_permutation(fitness, 6, Budget(20, 10), seed=0)


def test_seeds_decide_the_run() -> None:
    assert np.array_equal(run_real(3).history, run_real(3).history)
    assert not np.array_equal(run_real(3).history, run_real(4).history)
    runs = [
        minimize_permutation(displacement, 12, Budget(10, 5), seed).history for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_history_and_progress_tell_the_best_so_far() -> None:
    calls: list[tuple[int, float]] = []
    result = minimize_permutation(
        displacement, 9, Budget(20, 15), 0, lambda number, best: calls.append((number, best))
    )
    assert [number for number, _ in calls] == list(range(1, 16))
    assert [best for _, best in calls] == result.history.tolist()
    assert (np.diff(result.history) <= 0).all()
    assert result.history[-1] == result.objective


def test_initial_permutations_take_part() -> None:
    start = np.arange(30)[None]
    result = minimize_permutation(displacement, 30, Budget(10, 1), 0, initial=start)
    assert result.objective == 0


def test_the_time_budget_ends_the_run() -> None:
    assert len(run_real(generations=100_000, seconds=0.3).history) < 100_000
    assert len(run_real(seconds=0.0).history) == 1


@pytest.mark.parametrize(
    "bad",
    [{"population": 1}, {"generations": 0}, {"seconds": -1.0}],
    ids=lambda bad: next(iter(bad)),
)
def test_bad_budgets_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Budget(**bad)
