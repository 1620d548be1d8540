from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from baselines.common.solution import ReplayMismatch, Solution, check_replay, replay
from baselines.routing.rules import NearestNeighbour
from or_envs.core import sample, simulate
from or_envs.routing.tsp import TSP, TSPInstance

SQUARE = TSPInstance.euclidean(np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]))


def solution(objective: float, actions: tuple[int, ...] | None = (1, 2, 3)) -> Solution:
    plan = None if actions is None else np.array(actions)
    return Solution(plan, objective, None, "feasible", 0.0)


def test_replay_is_the_cost_in_the_problem() -> None:
    assert replay(TSP(4), solution(0.0), SQUARE) == pytest.approx(4)
    crossing = solution(0.0, (2, 1, 3))
    assert replay(TSP(4), crossing, SQUARE) == pytest.approx(2 + 2 * np.sqrt(2))


def test_replay_of_a_lot_sizing_plan(small) -> None:
    problem, instance, demand = small(0)
    rollout = simulate(problem, lambda i, s: np.ones_like(s.setup), instance, demand, check=False)
    plan = Solution(rollout.actions[0], 0.0, None, "feasible", 0.0)
    makeable = problem.action_mask(instance, problem.initial(instance)).reshape(2, 4)[:, 1]
    assert makeable.all()  # this file's instances let both machines make item 1
    assert replay(problem, plan, instance, demand) == -rollout.total_reward[0]


@pytest.mark.parametrize("wrong", [4 + 5e-6, 4 - 5e-6, np.nan, np.inf])
def test_a_wrong_objective_is_refused_with_both_figures(wrong: float) -> None:
    assert check_replay(TSP(4), solution(4 + 3e-6), SQUARE) == 4
    with pytest.raises(ReplayMismatch, match=r"4\.0") as error:
        check_replay(TSP(4), solution(wrong), SQUARE)
    assert repr(wrong) in str(error.value)
    assert isinstance(error.value, ValueError)


def test_no_actions_cannot_be_replayed() -> None:
    with pytest.raises(ValueError, match="no actions"):
        replay(TSP(4), solution(4.0, None), SQUARE)


def test_solutions_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        solution(4.0).objective = 3.0  # type: ignore[misc]


def test_replay_refuses_illegal_tours() -> None:
    from gymnasium.error import InvalidAction

    instance, _ = sample(TSP(4), 0, 1)
    with pytest.raises(InvalidAction, match="already visited"):
        replay(TSP(4), solution(0.0, (1, 1, 2)), instance)
    simulate(TSP(4), NearestNeighbour(), instance)
