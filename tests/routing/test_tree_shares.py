"""Shares of 1-trees: by hand, their sums, and what they tell."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

import or_envs
from baselines.registration import make
from or_envs.routing.tree_shares import tree_shares


def relax(points, trees):
    return tree_shares(points, np.ones(points.shape[:2], bool), trees)


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
    shares, multipliers, mean = tree_shares(points, present, 25)
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
