"""Bad input gets an error that names field, value and what is allowed."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction

import or_envs
from or_envs.core.env import Env
from or_envs.core.vector_env import VectorEnv

LOT_SIZING, TSP = "or_envs/LotSizing-v0", "or_envs/TSP-v0"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([0, 0, 0, 0], r"expected shape \(5,\).*got \(4,\)"),
        (0, "expected shape"),
        ([0.5] * 5, "expected integers, got dtype float64"),
        ([0, 0, 0, 0, 16], r"\[0, 0, 0, 0, 16\].*outside MultiDiscrete"),
        ([-1, 0, 0, 0, 0], r"\[-1, 0, 0, 0, 0\].*outside MultiDiscrete"),
    ],
)
def test_action_outside_the_space(action, message):
    env = gym.make(LOT_SIZING, instance="15x5")
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match=message):
        env.step(action)
    env.step(np.zeros(5, dtype=int))  # the episode is unharmed


def test_masked_action_ends_the_episode_with_a_reason_and_a_penalty():
    env = gym.make(LOT_SIZING, instance="15x5").unwrapped
    first, _ = env.reset(seed=0)
    machine, item = np.argwhere(env.instance.production[0] == 0)[0]
    action = np.zeros(5, dtype=int)
    action[machine] = item + 1
    before = env.state
    _, reward, terminated, truncated, info = env.step(action)
    assert terminated
    assert not truncated
    assert "cannot make" in info["invalid_action"]
    assert reward == env.problem.worst_completion(env.instance, before)[0]
    np.testing.assert_array_equal(env.state.inventory, before.inventory)
    np.testing.assert_array_equal(info["post_decision_obs"], first)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.zeros(5, dtype=int))


def test_masked_action_raises_on_request():
    env = gym.make(TSP, num_cities=4, invalid_action="raise")
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="city 0 is already visited"):
        env.step(0)


@pytest.mark.parametrize(
    ("id", "kwargs", "message"),
    [
        (LOT_SIZING, {"instance": "15x6"}, "expected one of 15x5, .*got '15x6'"),
        (LOT_SIZING, {"instance": "15x5", "n_items": 3}, "only with instance='random'"),
        (LOT_SIZING, {"instance": "random", "n_items": 0}, "n_items: expected an integer >= 1"),
        (LOT_SIZING, {"horizon": 0}, "horizon: expected an integer >= 1, got 0"),
        (LOT_SIZING, {"observation_mode": "raw"}, "observation_mode: expected 'full'"),
        (TSP, {"num_cities": 1}, "num_cities: expected an integer >= 2, got 1"),
        (TSP, {"num_cities": 2.5}, "num_cities: expected an integer >= 2, got 2.5"),
        (TSP, {"invalid_action": "ignore"}, "invalid_action: expected 'terminate' or 'raise'"),
        (TSP, {"render_mode": "ansi"}, "render_mode"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*render_mode.*")
def test_constructor_arguments(id, kwargs, message):
    with pytest.raises(ValueError, match=message):
        gym.make(id, **kwargs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stock": [1, 2]}, "unknown key 'stock'; allowed are instance, exogenous, inventory"),
        ({"inventory": [1]}, r"'inventory' must have shape \(2,\) or \(1, 2\), got \(1,\)"),
        ({"inventory": [1, 6]}, r"'inventory' must hold numbers in \[0, 5.0\]"),
        ({"setup": [3]}, r"'setup' must hold whole numbers in \[0, 2\]"),
        ({"setup": [0.5]}, "'setup' must hold whole numbers"),
        ({"demand": [[1, 1]]}, r"'demand' must have shape \(100, 2\)"),
        ({"demand": -np.ones((100, 2))}, "'demand' must hold numbers"),
        ({"instance": 3}, "'instance' must be a LotSizingInstance, got int"),
    ],
)
def test_reset_options(options, message):
    env = gym.make(LOT_SIZING, instance="VI-A")
    with pytest.raises(ValueError, match=message):
        env.reset(seed=0, options=options)


def test_vector_environment_arguments():
    with pytest.raises(ValueError, match="num_envs: expected an integer >= 1, got 0"):
        VectorEnv("or_envs.routing.tsp:TSP", 0)
    with pytest.raises(ValueError, match="autoreset_mode: expected one of"):
        VectorEnv("or_envs.routing.tsp:TSP", 1, "Sometimes")
    vector = VectorEnv("or_envs.routing.tsp:TSP", 2)
    with pytest.raises(ValueError, match="seed: expected 2 seeds, got 3"):
        vector.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="reset_mask"):
        vector.reset(seed=0, options={"reset_mask": [1, 0]})


def test_problem_by_name_or_object():
    with pytest.raises(ValueError, match="expected 'module:Class'"):
        Env("or_envs.routing.tsp.TSP")
    problem = or_envs.make_problem(TSP, num_cities=5)
    with pytest.raises(ValueError, match="num_cities"):
        Env(problem, num_cities=6)


def test_simulate_refuses_illegal_play():
    problem = or_envs.make_problem(TSP, num_cities=4)
    instance, _ = or_envs.sample(problem, 0, 2)
    with pytest.raises(InvalidAction, match="step 1, episode 1"):
        or_envs.simulate(problem, np.array([[1, 2, 3], [1, 1, 2]]), instance)
    with pytest.raises(ValueError, match="2 steps given"):
        or_envs.simulate(problem, np.array([[1, 2], [1, 2]]), instance)
    with pytest.raises(ValueError, match="seed: expected an integer >= 0"):
        or_envs.sample(problem, -1, 2)
