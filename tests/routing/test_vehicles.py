"""CVRP, ATSP and orienteering by hand."""

import gymnasium as gym
import numpy as np
import pytest

import or_envs
from or_envs.core import simulate
from or_envs.routing.atsp import ATSP, ATSPInstance
from or_envs.routing.cvrp import CVRP, CVRPInstance
from or_envs.routing.orienteering import Orienteering, OrienteeringInstance

CORNERS = np.array([[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]])


def cvrp(demand):
    return CVRPInstance.euclidean(CORNERS, np.array([demand], dtype=float), np.array([10.0]))


def cost(problem, instance, actions):
    return -simulate(problem, np.array([actions]), instance).total_reward[0]


def test_atsp_of_three_cities():
    distances = np.array([[(0.0, 1.0, 10.0), (10.0, 0.0, 1.0), (1.0, 10.0, 0.0)]])
    assert cost(ATSP(3), ATSPInstance(distances), [1, 2]) == 3
    assert cost(ATSP(3), ATSPInstance(distances), [2, 1]) == 30


@pytest.mark.parametrize(
    ("demand", "actions", "expected"),
    [
        ((5, 5), [0, 2], 2 + np.sqrt(2)),
        ((5, 5), [0, 3], 4.0),
        ((6, 5), [0, 3], 4.0),
    ],
)
def test_two_customers(demand, actions, expected):
    assert cost(CVRP(2), cvrp(demand), actions) == pytest.approx(expected)
    direct = [1, 2, 0] if actions[1] == 2 else [1, 0, 2, 0]
    problem = CVRP(2, mode="direct")
    assert cost(problem, cvrp(demand), direct) == pytest.approx(expected)


def test_masks_of_two_customers():
    problem, instance = CVRP(2), cvrp((6, 5))
    for variant in (problem, problem.compiled()):
        state = variant.initial(instance)
        # At the depot "by way of the depot" would be the same move twice.
        assert variant.action_mask(instance, state).tolist() == [[True, False, True, False]]
        state, _ = variant.post_decision(instance, state, np.array([0]))
        assert variant.action_mask(instance, state).tolist() == [[False, False, False, True]]
    direct = CVRP(2, mode="direct")
    state = direct.initial(instance)
    assert direct.action_mask(instance, state).tolist() == [[False, True, True]]
    state, _ = direct.post_decision(instance, state, np.array([1]))
    assert direct.action_mask(instance, state).tolist() == [[True, False, False]]


@pytest.mark.parametrize(("budget", "best"), [(2.0, 1.0), (3.41, 1.0), (3.415, 2.0), (1.99, 0.0)])
def test_orienteering_of_two_customers(budget, best):
    from tests.routing.helpers import best_reward

    data = (CORNERS, np.ones((1, 2)), np.array([budget]))
    instance = OrienteeringInstance.euclidean(*data)
    assert best_reward(Orienteering(2), instance) == best
    assert best_reward(Orienteering(2, mode="direct"), instance) == best


def test_nothing_within_reach_is_one_step_home():
    env = gym.make("or_envs/Orienteering-v0", num_customers=2)
    options = {"coordinates": CORNERS[0], "prize": [0, 1, 1], "budget": 1.99}
    env.reset(seed=0, options=options)
    assert env.unwrapped.action_masks().tolist() == [True, False, False]
    assert env.step(0)[1:4] == (0.0, True, False)


def test_customers_out_of_reach_are_not_shown():
    data = (CORNERS * np.array([1.0, 2.0]), np.ones((1, 2)), np.array([3.0]))
    instance = OrienteeringInstance.euclidean(*data)
    problem = Orienteering(2)
    seen = problem.observation(instance, problem.initial(instance))
    assert seen["remaining"].tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("id", "options", "message"),
    [
        ("CVRP", {"demand": [0, 1, 99]}, r"'demand': expected 0 at the depot, else 0..capacity"),
        ("CVRP", {"demand": [1, 1, 1]}, r"'demand': expected 0 at the depot.*got 1.0 at \(0, 0\)"),
        ("CVRP", {"capacity": 0}, "'capacity': expected > 0"),
        ("CVRP", {"coordinates": [(0, 0), (1, 1), (np.nan, 0)]}, "'coordinates' must be finite"),
        ("Orienteering", {"prize": [0, -1, 1]}, "'prize': expected 0 at the depot, else >= 0"),
        ("Orienteering", {"budget": -1}, "'budget': expected >= 0"),
    ],
)
def test_wrong_options_are_named(id, options, message):
    env = gym.make(f"or_envs/{id}-v0", num_customers=2)
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)
    with pytest.raises(ValueError, match="'distances' must be >= 0"):
        gym.make("or_envs/ATSP-v0", num_cities=2).reset(options={"distances": [[0, -1], [1, 0]]})


@pytest.mark.parametrize(
    ("id", "kwargs", "message"),
    [
        ("TSP", {"mode": "tail"}, "mode: expected 'bq' or 'direct', got 'tail'"),
        ("TSP", {"num_cities": 1}, "num_cities: expected an integer >= 2, got 1"),
        ("TSP", {"instance": "nowhere.tsp"}, "instance: expected one of uniform, clustered, kool"),
        ("CVRP", {"num_customers": 0}, "num_customers: expected an integer >= 1, got 0"),
        ("CVRP", {"capacity": 8}, "capacity: expected an integer >= 9"),
        ("Orienteering", {"prizes": "gold"}, "prizes: expected 'distance'"),
        ("Orienteering", {"budget": 0.0}, "budget: expected a number > 0, got 0.0"),
        ("Knapsack", {"family": "hard"}, "family: expected one of uniform"),
        ("Knapsack", {"num_items": 0}, "num_items: expected an integer >= 1, got 0"),
        ("Knapsack", {"capacity": -1.0}, "capacity: expected a number > 0"),
    ],
)
def test_wrong_arguments_are_named(id, kwargs, message):
    with pytest.raises(ValueError, match=message):
        or_envs.make_problem(f"or_envs/{id}-v0", **kwargs)
