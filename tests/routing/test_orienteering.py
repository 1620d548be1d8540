"""Orienteering: what the tail is, the tolerance, and how the optimum grows."""

import numpy as np
import pytest

import or_envs
from baselines.common.solution import check_replay
from baselines.registration import make
from or_envs.routing.orienteering import TOLERANCE, Orienteering, OrienteeringInstance
from tests.routing.helpers import best_reward


def orienteering(nodes, prize, budget):
    data = (np.array([nodes], dtype=float), np.array([prize], dtype=float), np.array([budget]))
    return OrienteeringInstance.euclidean(*data)


def test_equal_tails_look_equal_in_mode_bq_only():
    """Two customers above and below the axis, in either order, leave the same length."""
    nodes = [(0, 0), (1, 1), (1, -1), (2, 0), (3, 0.5), (2, 1)]
    instance = orienteering(nodes, [1, 2, 3, 4, 5], 12.0)
    for mode in ("bq", "direct"):
        problem = Orienteering(5, mode=mode)
        seen = []
        for path in ([1, 2, 3], [2, 1, 3]):
            state = problem.initial(instance)
            for node in path:
                state, _ = problem.post_decision(instance, state, np.array([node]))
            seen.append(problem.observation(instance, state))
        if mode == "bq":
            np.testing.assert_equal(seen[0], seen[1])
        else:
            assert (seen[0]["visits"] != seen[1]["visits"]).any()


@pytest.mark.parametrize("mode", ["bq", "direct"])
@pytest.mark.parametrize(("short", "prize"), [(0.5, 1.0), (2.0, 0.0)])
def test_everybody_has_the_same_tolerance(mode, short, prize):
    """A route that is too long by half the tolerance counts; by twice the tolerance it does not."""
    problem = Orienteering(2, mode=mode)
    instance = orienteering([(0, 0), (1, 0), (0, 1)], [1, 1], 2 - short * TOLERANCE)
    assert best_reward(problem, instance) == prize
    rule = make("routing/prize_ratio", problem)
    assert or_envs.simulate(problem, rule, instance).total_reward[0] == prize
    for name in ("orienteering_dp", "orienteering_search"):
        found = make(f"routing/{name}", problem).solve(instance)
        assert check_replay(problem, found, instance) == -prize


def test_the_optimum_grows_with_the_budget():
    problem = Orienteering(8)
    instance, _ = or_envs.sample(problem, 0, 1)
    solver = make("routing/orienteering_dp", problem)
    found = []
    for budget in (0.5, 1.0, 1.5, 2.0, 3.0, 6.0):
        other, _ = problem.apply_options(instance, None, {"budget": budget})
        found.append(-check_replay(problem, solver.solve(other), other))
    assert found == sorted(found)
    assert found[-1] == pytest.approx(instance.prize.sum())
