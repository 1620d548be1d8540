from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.lot_sizing.scenario_tree import fan, forward_selection, sample_demand, tree
from or_envs.core import sample
from or_envs.lot_sizing.problem import LotSizing


def stage(*values: float, probability: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(values)[:, None], np.array(probability)


def test_a_fan_by_hand() -> None:
    paths = fan(np.array([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]))
    assert paths.previous_decision.tolist() == [-1, 0, 1]
    assert paths.decision.tolist() == [0, 0, 1, 1, 2, 2]
    assert paths.previous_outcome.tolist() == [-1, -1, 0, 1, 2, 3]
    assert paths.demand[:, 0].tolist() == [1, 4, 2, 5, 3, 6]
    assert paths.probability.tolist() == [0.5] * 6
    assert [outcomes.tolist() for outcomes in paths.stages] == [[0, 1], [2, 3], [4, 5]]
    assert paths.leaves.tolist() == [4, 5]


def test_a_tree_by_hand() -> None:
    both = tree(
        [
            stage(1, 2, probability=[0.25, 0.75]),
            stage(3, probability=[1]),
            stage(4, 5, probability=[0.5, 0.5]),
        ]
    )
    #  decisions: 0; then 1, 2 after demand 1, 2; then 3, 4 after 3 in either branch.
    assert both.previous_decision.tolist() == [-1, 0, 0, 1, 2]
    assert both.decision.tolist() == [0, 0, 1, 2, 3, 3, 4, 4]
    assert both.previous_outcome.tolist() == [-1, -1, 0, 1, 2, 2, 3, 3]
    assert both.demand[:, 0].tolist() == [1, 2, 3, 3, 4, 5, 4, 5]
    assert both.probability.tolist() == [0.25, 0.75, 0.25, 0.75, 0.125, 0.125, 0.375, 0.375]
    assert [outcomes.tolist() for outcomes in both.stages] == [[0, 1], [2, 3], [4, 5, 6, 7]]


def test_the_published_branching_has_29_nodes() -> None:
    stages = [(np.zeros((b, 1)), np.full(b, 1 / b)) for b in (4, 2, 2)]
    whole = tree(stages)
    assert 1 + len(whole.decision) == 29
    assert len(whole.previous_decision) == 1 + 4 + 8


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 1000))
def test_every_tree_is_a_tree(branching: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    stages = [(rng.random((b, 2)), rng.dirichlet(np.ones(b))) for b in branching]
    whole = tree(stages)
    assert len(whole.stages) == len(branching)
    for outcomes, (demand, probability) in zip(whole.stages, stages, strict=True):
        assert whole.probability[outcomes].sum() == pytest.approx(1)
        # The law of a period is that of its stage.
        mean = whole.probability[outcomes] @ whole.demand[outcomes]
        assert mean == pytest.approx(probability @ demand)
    for outcome, before in enumerate(whole.previous_outcome):
        decision, earlier = whole.decision[outcome], whole.previous_decision
        assert before < outcome
        if before < 0:
            assert earlier[decision] == -1
        else:
            # A decision follows one past only, and its predecessor is that of this past.
            assert earlier[decision] == whole.decision[before]
            same = whole.decision == decision
            assert (whole.previous_outcome[same] == before).all()
    if set(branching) == {1}:
        path = fan(np.stack([demand for demand, _ in stages], axis=1))
        assert whole.has_shape_of(path)
        assert np.array_equal(whole.demand, path.demand)


def cheapest_addition(points: np.ndarray, chosen: list[int], weight: np.ndarray) -> float:
    """Least sum of distances to the nearest chosen point that one more point achieves."""
    totals = []
    for new in set(range(len(points))) - set(chosen):
        nearest = [
            min(float(weight @ np.abs(point - points[k])) for k in [*chosen, new])
            for point in points
        ]
        totals.append(sum(nearest))
    return min(totals)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_forward_selection_adds_the_best_point_each_time(num: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, (9, 2)).astype(float)  # with copies
    weight = rng.random(2) + 0.1
    chosen, probability = forward_selection(points, num, weight)
    assert len(set(chosen.tolist())) == num
    assert probability.sum() == pytest.approx(1)
    for k in range(num):
        distance = np.abs(points[:, None] - points[chosen[: k + 1]]) @ weight
        best = cheapest_addition(points, chosen[:k].tolist(), weight)
        assert distance.min(axis=1).sum() == pytest.approx(best)
    # Each point's probability went to one that is no farther than any other.
    distance = np.abs(points[:, None] - points[chosen]) @ weight
    assert (probability <= (distance <= distance.min(axis=1, keepdims=True)).mean(axis=0)).all()


def test_forward_selection_spreads_and_weighs_money() -> None:
    # Two clusters: a rule without distances to the chosen would take both from the larger one.
    points = np.array([[0.0, 0], [0, 1], [0, 2], [0, 1], [9, 50]])
    chosen, probability = forward_selection(points, 2, np.array([1.0, 0.1]))
    assert chosen.tolist() == [1, 4]
    assert probability.tolist() == pytest.approx([0.8, 0.2])
    # Where only the first item is worth anything, the first four are the same point.
    _, probability = forward_selection(points, 3, np.array([1.0, 0.0]))
    assert sorted(probability.tolist()) == pytest.approx([0, 0.2, 0.8])


def test_sampled_demand_follows_the_law() -> None:
    problem = LotSizing("15x5")
    instance, _ = sample(problem, 0, 1)
    rng = np.random.default_rng(0)
    draws = np.concatenate([sample_demand(instance, rng, 10, 2) for _ in range(400)])
    assert draws.shape == (4000, 2, 15)
    law = instance.demand_probability[0]
    for units in (4, 8, 12):
        share = (draws == units).mean(axis=(0, 1))
        assert share == pytest.approx(law[:, units], abs=0.02)
    # Items and periods are independent of each other.
    flat = draws.reshape(len(draws), -1)
    correlation = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 0.09


def test_few_sampled_paths_spread_over_the_law() -> None:
    problem = LotSizing("15x5")
    instance, _ = sample(problem, 0, 1)
    paths = sample_demand(instance, np.random.default_rng(0), 10, 5)
    # Plain samples of 10 miss the mean by 0.7 on average; strata cannot miss it by 1.
    assert np.abs(paths.mean(axis=0) - instance.mean_demand).max() < 1
    below_median = (paths < 8).sum(axis=0)  # P(D < 8) = 0.416: between 4 and 5 of 10
    assert set(below_median.ravel().tolist()) <= {4, 5}
