"""Shortest 1-trees: no path is shorter, whatever the multipliers."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from or_envs.routing.one_tree import one_tree


def found(between, out, back, multipliers):
    num, kind = len(multipliers), multipliers.dtype
    edges = np.full((num - 1, 2), -1)
    room = np.empty(num, kind), np.empty(num, np.int32), np.empty(num, kind)
    length, first, last = one_tree(between, out, back, multipliers, edges, *room)
    return length, edges, first, last


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([np.float32, np.float64]))
def test_no_path_is_shorter(num, seed, kind):
    rng = np.random.default_rng(seed)
    between = rng.random((num, num)).astype(kind)
    between = between + between.T
    np.fill_diagonal(between, 0)
    out, back = rng.random(num).astype(kind), rng.random(num).astype(kind)
    multipliers = rng.normal(0, 0.3, num).astype(kind)
    length, edges, first, last = found(between, out, back, multipliers)
    shortest = min(
        out[order[0]] + back[order[-1]] + sum(between[a, b] for a, b in itertools.pairwise(order))
        for order in itertools.permutations(range(num))
    )
    assert length <= shortest + 1e-5
    # It is a tree, as short as any, and two edges to different cities.
    tree = [
        sum(cost[a, b] for a, b in chosen)
        for cost in [between + multipliers[:, None] + multipliers]
        for chosen in itertools.combinations(itertools.combinations(range(num), 2), num - 1)
        if connected(num, chosen)
    ]
    ends = min(
        out[a] + multipliers[a] + back[b] + multipliers[b]
        for a, b in itertools.product(range(num), repeat=2)
        if a != b or num == 1
    )
    assert connected(num, edges.tolist())
    assert (first != last) == (num > 1)
    assert length == pytest.approx(min(tree) + ends - 2 * multipliers.sum(), abs=1e-4)


def connected(num, edges):
    label = list(range(num))
    for a, b in edges:
        label = [label[a] if value == label[b] else value for value in label]
    return len(set(label)) == 1
