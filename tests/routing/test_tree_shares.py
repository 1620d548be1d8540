"""Shares of 1-trees: by hand, their sums, and what they tell."""

from __future__ import annotations

import dataclasses
import itertools
import threading

import hypothesis.strategies as st
import numba
import numpy as np
import pytest
from hypothesis import given, settings

import or_envs
from baselines.registration import make
from or_envs.routing import tree_shares


def relax(points, trees):
    found = tree_shares.relax(points, np.ones(points.shape[:2], bool), trees)
    return found.shares, found.multipliers, found.mean


def test_cities_on_a_line_are_a_path():
    points = np.array([[[x, 0.0] for x in (0, 3, 1, 2, 4)]])
    shares, multipliers, mean = relax(points, 50)
    expected = np.zeros((5, 5))
    for a, b in ((0, 2), (2, 3), (3, 1), (1, 4)):
        expected[a, b] = expected[b, a] = 1
    assert (shares[0] == expected).all()
    assert (multipliers == 0).all()
    assert mean.tolist() == [1.0]


def test_a_star_becomes_a_path():
    """The tree of a hub and its spokes is not a path; dearer edges of the hub make others enter."""
    hub = [[0.0, 0], [-2, 0], [0, 0.9], [2, 0], [0, -2.1], [0, -3]]
    points = np.array([hub])
    once, multipliers, _ = relax(points, 1)
    assert once[0].sum(axis=0).tolist() == [1, 2, 3, 1, 2, 1]
    assert (multipliers == 0).all()
    for trees in (100, 1000):
        shares, multipliers, _ = relax(points, trees)
        assert np.abs(shares[0].sum(axis=0)[1:-1] - 2).max() < 0.1
        assert multipliers[0, 2] > 0.1
        assert np.abs(multipliers).max() < 1


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(0, 3), st.integers(0, 10**6))
def test_shares_are_means_of_trees(num, absent, seed):
    rng = np.random.default_rng(seed)
    points = rng.random((2, num + absent + 2, 2))
    present = np.ones((2, num + absent + 2), bool)
    present[1, 1 + num : -1] = False
    found = tree_shares.relax(points, present, 25)
    shares, multipliers, mean = found.shares, found.multipliers, found.mean
    assert np.isinf(found.increases).all()
    np.testing.assert_array_equal(shares, shares.transpose(0, 2, 1))
    assert ((shares >= 0) & (shares <= 1 + 1e-5)).all()
    np.testing.assert_allclose(shares[:, [0, -1]].sum(axis=2), 1, rtol=1e-4)
    inner = present.sum(axis=1) - 2
    np.testing.assert_allclose(shares[:, 1:-1].sum(axis=(1, 2)), 2 * inner, rtol=1e-4)
    assert (shares[1][~present[1]] == 0).all()
    assert (multipliers[1][~present[1]] == 0).all()
    lengths = np.linalg.norm(points[:, :, None] - points[:, None], axis=3)
    expected = (shares * lengths).sum(axis=(1, 2)) / 2 / (inner + 1)
    np.testing.assert_allclose(mean, expected, rtol=1e-4)
    # What is absent makes no difference.
    alone, _, _ = relax(points[1:, present[1]], 25)
    np.testing.assert_array_equal(alone[0], shares[1][present[1]][:, present[1]])


def test_shares_tell_shortest_tours():
    """Hardly any edge in nearly all trees is not in the tour, and few of the tour's are rare."""
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=20)
    instance, _ = or_envs.sample(problem, 0, 30)
    solver = make("routing/subtour_elimination", problem)
    tours = np.array([solver.solve(instance.rows(np.array([row]))).actions for row in range(30)])
    points = np.concatenate([instance.coordinates, instance.coordinates[:, :1]], axis=1)
    shares, _, _ = relax(points, 100)
    edges = np.zeros(shares.shape, bool)
    edges[np.arange(30)[:, None], tours[:, :-1], tours[:, 1:]] = True
    edges |= edges.transpose(0, 2, 1)
    edges, shares = edges[:, 1:-1, 1:-1], shares[:, 1:-1, 1:-1]
    assert shares[edges].mean() > 0.8
    assert edges[shares > 0.9].mean() > 0.95


def test_nothing_is_looked_at_where_all_trees_agree():
    points = np.array([[[x, 0.0] for x in (0, 3, 1, 2, 4)]])
    found = tree_shares.relax(points, np.ones((1, 5), bool), 50, look_ahead=20)
    assert found.increases[0].tolist() == [np.inf, np.inf, 0, np.inf, np.inf]


def test_increases_are_near_true_regrets():
    """Of a likely next city: the shortest way by it, less that by the best one, all tried."""
    rng = np.random.default_rng(0)
    points = rng.random((150, 8, 2))
    found = tree_shares.relax(points, np.ones((150, 8), bool), 100, look_ahead=60)
    orders = np.array(list(itertools.permutations(range(1, 7))))
    ways = np.concatenate([np.zeros((720, 1), int), orders, np.full((720, 1), 7)], axis=1)
    errors, regrets = [], []
    for row in range(150):
        legs = np.linalg.norm(np.diff(points[row][ways], axis=1), axis=2).sum(axis=1)
        looked_at = np.flatnonzero(np.isfinite(found.increases[row]))
        assert found.increases[row, looked_at].min() == 0
        best = {k: legs[ways[:, 1] == k].min() for k in looked_at}
        if len(looked_at) == 1:
            assert best[looked_at[0]] == pytest.approx(legs.min())
            continue
        assert len(looked_at) <= 4
        regret = np.array([best[k] for k in looked_at]) - min(best.values())
        regrets += regret.tolist()
        errors += np.abs(found.increases[row, looked_at] - regret).tolist()
    assert len(regrets) > 20
    assert np.mean(errors) < 0.2 * np.mean(regrets)


def test_what_is_looked_at_does_not_change_the_rest():
    points = np.random.default_rng(1).random((5, 30, 2))
    here = np.ones((5, 30), bool)
    plain, looked = tree_shares.relax(points, here, 40), tree_shares.relax(points, here, 40, 30)
    np.testing.assert_array_equal(plain.shares, looked.shares)
    np.testing.assert_array_equal(plain.multipliers, looked.multipliers)
    np.testing.assert_array_equal(plain.mean, looked.mean)


def test_threads_share_the_paths_out(monkeypatch):
    rng = np.random.default_rng(3)
    points, present = rng.random((37, 14, 2)), rng.random((37, 14)) < 0.9
    used = set()
    alone = tree_shares._relax

    def noted(*arguments):
        used.add(threading.get_ident())
        alone(*arguments)

    monkeypatch.setattr(tree_shares, "_relax", noted)
    results = []
    for threads in (1, 2):
        monkeypatch.setattr(numba, "get_num_threads", lambda threads=threads: threads)
        used.clear()
        results.append(tree_shares.relax(points, present, 40, 10))
        assert (used == {threading.get_ident()}) == (threads == 1)
    for field in dataclasses.fields(results[0]):
        one, two = (getattr(result, field.name) for result in results)
        np.testing.assert_array_equal(one, two)
