import numpy as np
import pytest
from scipy import stats

from benchmarks.statistics import estimate, paired_gap


def test_one_seed_gives_the_t_interval_of_scipy():
    costs = np.random.default_rng(0).normal(50, 10, size=23)
    found = estimate(costs[None])
    low, high = stats.t.interval(0.95, 22, loc=costs.mean(), scale=stats.sem(costs))
    assert found.mean == pytest.approx(costs.mean())
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_episode_has_no_interval():
    found = estimate(np.array([[3.0]]))
    assert (found.mean, found.low, found.high) == (3.0, None, None)


def test_bootstrap_covers_both_sources_of_variation():
    rng = np.random.default_rng(1)
    seeds, episodes = 30, 50
    seed_effect = rng.normal(0, 5, size=(seeds, 1))
    episode_effect = rng.normal(0, 3, size=(1, episodes))
    costs = 100 + seed_effect + episode_effect
    found = estimate(costs)
    sigma = np.sqrt(seed_effect.var() / seeds + episode_effect.var() / episodes)
    assert found.high - found.low == pytest.approx(2 * 1.96 * sigma, rel=0.1)
    # Episodes shared by the seeds: more seeds do not average their luck away.
    shared = estimate(np.broadcast_to(100 + episode_effect, (seeds, episodes)))
    alone = 2 * 1.96 * episode_effect.std() / np.sqrt(episodes)
    assert shared.high - shared.low == pytest.approx(alone, rel=0.1)
    assert estimate(costs) == found


def test_gap_is_taken_on_the_common_episodes():
    costs = np.array([[12.0, 14.0, 1000.0]])
    bound = np.array([[10.0, 10.0]])
    assert paired_gap(costs, bound) == (pytest.approx(30.0), 2)
    assert paired_gap(costs, np.array([[0.0]])) == (None, 1)
    assert paired_gap(np.array([[-5.0]]), np.array([[-10.0]])) == (pytest.approx(50.0), 1)
