import numpy as np
import pytest
from scipy import stats

from benchmarks.statistics import (
    estimate,
    holm,
    interquartile_mean,
    paired_difference,
    paired_gap,
    performance_profile,
    permutation_p_value,
    probability_of_improvement,
    smallest_p_value,
    stratified_bootstrap,
)


def test_one_seed_gives_the_t_interval_of_scipy():
    costs = np.random.default_rng(0).normal(50, 10, size=23)
    found = estimate(costs[None])
    low, high = stats.t.interval(0.95, 22, loc=costs.mean(), scale=stats.sem(costs))
    assert found.value == pytest.approx(costs.mean())
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_episode_has_no_interval():
    found = estimate(np.array([[3.0]]))
    assert (found.value, found.low, found.high) == (3.0, None, None)


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


# ---- comparisons of runs --------------------------------------------------------------------


def test_interquartile_mean_is_the_trimmed_mean_of_scipy():
    rng = np.random.default_rng(0)
    assert interquartile_mean([np.array([1.0, 100.0, 2.0, 3.0, -50.0])]) == 2.0  # by hand
    for size in (1, 2, 3, 4, 5, 7, 8, 20):
        first, second = rng.normal(size=size), rng.normal(size=2 * size)
        expected = stats.trim_mean(np.concatenate([first, second]), 0.25)
        assert interquartile_mean([first, second]) == pytest.approx(expected)
    resamples = rng.normal(size=(6, 9))
    np.testing.assert_allclose(
        interquartile_mean([resamples]), stats.trim_mean(resamples, 0.25, axis=1)
    )


def test_probability_of_improvement():
    # Instance 1: pairs 3>1, 3>2, 1=1, 1<2: 2.5 of 4. Instance 2: 1 of 1. Mean 0.8125.
    ours, theirs = [np.array([3.0, 1.0]), np.array([9.0])], [np.array([1.0, 2.0]), np.array([8.0])]
    assert probability_of_improvement(ours, theirs) == pytest.approx(0.8125)
    assert probability_of_improvement(theirs, ours) == pytest.approx(1 - 0.8125)
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, 7).astype(float), rng.integers(0, 6, 5).astype(float)
    u = stats.mannwhitneyu(x, y).statistic
    assert probability_of_improvement([x], [y]) == pytest.approx(u / 35)
    many = probability_of_improvement([np.tile(x, (3, 1))], [np.tile(y, (3, 1))])
    np.testing.assert_allclose(many, [u / 35] * 3)


def test_performance_profile():
    scores = [np.array([0.0, 0.5, 1.0, 2.0]), np.array([0.5, 0.7])]
    found = performance_profile(scores, np.array([-1.0, 0.5, 0.6, 2.0]))
    np.testing.assert_allclose(found, [1, (0.5 + 0.5) / 2, (0.5 + 0.5) / 2, 0])
    found = performance_profile([np.array([0.5, 0.7, 0.9])], np.array([0.5, 0.8]))
    np.testing.assert_allclose(found, [2 / 3, 1 / 3])  # strictly above


def test_stratified_bootstrap():
    rng = np.random.default_rng(2)
    # Two instances on very different levels: only the spread within each counts.
    strata = [rng.normal(0, 1, 40), rng.normal(1000, 1, 40)]

    def mean(scores):
        return np.mean([runs.mean(axis=-1) for runs in scores], axis=0)

    found = stratified_bootstrap(mean, strata)
    assert found.value == pytest.approx(mean(strata))
    sigma = np.sqrt(sum(runs.var() for runs in strata) / 40) / 2
    assert found.high - found.low == pytest.approx(2 * 1.96 * sigma, rel=0.1)
    assert stratified_bootstrap(mean, strata) == found
    # Two arms are drawn independently of each other, even where they are equal.
    same = stratified_bootstrap(probability_of_improvement, strata[:1], strata[:1])
    assert same.value == 0.5
    assert same.low < 0.45
    assert same.high > 0.55
    alone = stratified_bootstrap(mean, [np.array([3.0])])
    assert (alone.value, alone.low, alone.high) == (3.0, None, None)


def test_paired_difference():
    rng = np.random.default_rng(3)
    episodes = rng.normal(0, 100, size=(1, 60))  # luck of the episodes, which both have
    ours = 50 + episodes + rng.normal(0, 2, size=(12, 1)) + rng.normal(0, 1, size=(12, 60))
    theirs = 53 + episodes + rng.normal(0, 2, size=(10, 1)) + rng.normal(0, 1, size=(10, 60))
    found = paired_difference(ours, theirs)
    assert found.value == pytest.approx(ours.mean() - theirs.mean())
    sigma = np.sqrt(ours.mean(axis=1).var() / 12 + theirs.mean(axis=1).var() / 10)
    assert found.high - found.low == pytest.approx(2 * 1.96 * sigma, rel=0.15)
    turned = paired_difference(theirs, ours)
    assert turned.value == pytest.approx(-found.value)
    # Episodes that only one of them played are left out.
    assert paired_difference(ours[:, :20], theirs).value == pytest.approx(
        ours[:, :20].mean() - theirs[:, :20].mean()
    )
    assert paired_difference(ours[:1], theirs).low is None
    # A single run taken for what it is: only its episodes and the other's runs vary.
    alone = paired_difference(ours[:1], theirs[:1], over_runs=False)
    sigma = (ours[0] - theirs[0]).std() / np.sqrt(60)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * sigma, rel=0.15)


def test_published_examples_of_rliable():
    """Scores and results of ``metrics_test.py`` and ``library_test.py`` of rliable."""
    x, y = np.array([[1, 2], [2, 2], [1, 1], [2, 1]]).T, np.array([[1, 1], [2, 2], [3, 3]]).T
    assert interquartile_mean(list(x)) == 1.5
    assert interquartile_mean(list(y)) == 2
    assert probability_of_improvement(list(x), list(y)) == pytest.approx(1 / 3)
    # Five runs on 16 tasks, 0 to 79 by rows; the other has the same runs the other way round.
    runs = np.arange(80).reshape(5, 16)
    tasks, turned = list(runs.T), list(runs[::-1].T)
    profile = performance_profile(tasks, np.array([0.0, 0.25, 0.5, 1.0]))
    np.testing.assert_allclose(profile, [79 / 80, 79 / 80, 79 / 80, 78 / 80])
    for found in (
        stratified_bootstrap(interquartile_mean, tasks),
        stratified_bootstrap(probability_of_improvement, tasks, turned),
    ):
        assert found.low < found.value < found.high


def test_stratified_bootstrap_is_that_of_rliable():
    """Their ``StratifiedBootstrap`` written out: an index per run and task, tasks kept."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(6, 4)) + 10 * np.arange(4)
    drawn = scores[rng.integers(6, size=(20_000, 6, 4)), np.arange(4)]
    expected = stats.trim_mean(drawn.reshape(20_000, 24), 0.25, axis=1)
    found = stratified_bootstrap(interquartile_mean, list(scores.T))
    low, high = np.quantile(expected, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_permutation_p_value():
    # Of the 20 divisions of six runs into halves two are as extreme as the perfect one.
    low, high = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    assert permutation_p_value(low, high) == permutation_p_value(high, low) == 2 / 20
    assert permutation_p_value(low, low) == 1.0
    for size, other in ((1, 1), (3, 3), (2, 5), (4, 5)):
        apart = np.arange(size) + 0.1 * np.arange(size) ** 2, 100.0 + np.arange(other)
        assert permutation_p_value(*apart) == pytest.approx(smallest_p_value(size, other))
    # {1, 9} against {2, 3, 4} differ by 2. By hand, the ten divisions differ by 2, 3.8, 3, 2.2,
    # 2.8, 3.7, 4.5, 2.2, 1.3 and 0.5.
    ours, theirs = np.array([1.0, 9.0]), np.array([2.0, 3.0, 4.0])
    assert permutation_p_value(ours, theirs) == 8 / 10
    rng = np.random.default_rng(4)
    x, y = rng.normal(0, 1, 20), rng.normal(0.7, 1, 20)
    exact = stats.permutation_test(
        (x, y), lambda a, b: abs(a.mean() - b.mean()), alternative="greater", n_resamples=50_000
    )
    assert permutation_p_value(x, y) == pytest.approx(exact.pvalue, abs=0.01)


def test_holm():
    # Sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1, each at least the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
