from __future__ import annotations

import numpy as np
import pytest

from baselines.lot_sizing.dynamic_programming import optimal_policy
from baselines.lot_sizing.rolling_horizon import RollingHorizonMean
from or_envs.core import sample, simulate
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState


def test_traces_with_the_same_past_get_the_same_decisions() -> None:
    problem = LotSizing("VI-C", horizon=6)
    instance, demand = sample(problem, 1, 1)
    known = 3
    other = demand.demand.copy()
    other[:, known:] = 4 - other[:, known:]
    assert not np.array_equal(other, demand.demand)

    def actions(trace: np.ndarray) -> np.ndarray:
        rule = RollingHorizonMean(problem, horizon=4, time_limit=60)
        return simulate(problem, rule, instance, LotSizingDemand(trace)).actions[0]

    first, second = actions(demand.demand), actions(other)
    # Decision k is taken before demand k: the first known + 1 decisions are the same.
    assert np.array_equal(first[: known + 1], second[: known + 1])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("setup", [1, 2])
def test_the_current_setup_counts(setup: int) -> None:
    problem = LotSizing("VI-A")
    instance, _ = sample(problem, 0, 1)
    rule = RollingHorizonMean(problem, horizon=4)
    zero = np.zeros(1, dtype=np.int64)
    state = LotSizingState(np.zeros((1, 2)), np.array([[setup]]), zero)
    assert rule(instance, state).tolist() == [[setup]]
    # The instance's first setup does not.
    assert {1, 2} == {int(sample(problem, s, 1)[0].initial_setup[0, 0]) for s in range(8)}


def test_batches_are_decided_row_by_row() -> None:
    problem = LotSizing("VI-C")
    instance, _ = sample(problem, 0, 4)
    state = problem.initial(instance)
    together = RollingHorizonMean(problem, horizon=4)(instance, state)
    for row in range(4):
        index = np.array([row])
        alone = RollingHorizonMean(problem, horizon=4)
        assert np.array_equal(alone(instance.rows(index), state.rows(index))[0], together[row])


def test_different_instances_in_a_batch() -> None:
    problem = LotSizing("random", n_items=2, n_machines=1, horizon=3)
    instance, demand = sample(problem, 0, 2)
    rule = RollingHorizonMean(problem, horizon=3)
    simulate(problem, rule, instance, demand)  # raises if one's item is played on the other


@pytest.mark.parametrize("name", ["VI-A", "VI-B", "VI-C"])
def test_it_is_near_the_optimum_where_that_is_known(name: str) -> None:
    problem = LotSizing(name, horizon=20)
    instance, demand = sample(problem, 0, 5)
    rule = RollingHorizonMean(problem, horizon=4)
    cost = -simulate(problem, rule, instance, demand).total_reward.mean()
    optimum = -simulate(problem, optimal_policy(problem), instance, demand).total_reward.mean()
    assert cost < 1.15 * optimum


def test_no_time_for_branch_and_bound_still_gives_a_decision() -> None:
    problem = LotSizing("15x5", horizon=3)
    instance, demand = sample(problem, 0, 1)
    simulate(problem, RollingHorizonMean(problem, horizon=3, time_limit=0.0), instance, demand)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="horizon"):
        RollingHorizonMean(LotSizing("VI-A"), horizon=0)
    with pytest.raises(ValueError, match="allow_invalid"):
        RollingHorizonMean(LotSizing("VI-A", allow_invalid=True))
