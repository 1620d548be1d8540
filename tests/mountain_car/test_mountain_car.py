"""The car: step by step gymnasium's, with the rewards and ends of that environment."""

import gymnasium as gym
import numpy as np
import pytest

import or_envs
from baselines.mountain_car.rules import Swing
from or_envs.mountain_car.problem import MountainCar


@pytest.mark.parametrize("play", ["swing", "random", "left"])
def test_it_is_gymnasiums(play):
    theirs = gym.make("MountainCarContinuous-v0").unwrapped
    ours = gym.make("or_envs/MountainCar-v0").unwrapped
    seen, _ = theirs.reset(seed=3)
    mine, _ = ours.reset(seed=0, options={"position": float(theirs.state[0])})
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(mine, seen)
    for _ in range(400):
        force = {
            "swing": 1.0 if seen[1] >= 0 else -1.0,
            "random": rng.uniform(-1, 1),
            "left": -1.0,  # into the wall
        }[play]
        action = np.array([force])
        seen, reward, terminated, _, _ = theirs.step(action)
        mine, own_reward, own_terminated, truncated, _ = ours.step(action)
        # Gymnasium keeps its state in single precision.
        np.testing.assert_allclose(mine, seen, atol=1e-4)
        assert own_reward == pytest.approx(reward)
        assert own_terminated == terminated
        assert not truncated
        if terminated:
            break
    assert terminated == (play == "swing")


def test_spaces_and_time_limit_are_gymnasiums():
    theirs, ours = gym.make("MountainCarContinuous-v0"), gym.make("or_envs/MountainCar-v0")
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space.shape == theirs.action_space.shape
    assert ours.unwrapped.problem.max_steps == theirs.spec.max_episode_steps == 999
    short = gym.make("or_envs/MountainCar-v0", horizon=2)
    short.reset(seed=0)
    assert short.step(np.zeros(1))[2:4] == (False, False)
    assert short.step(np.zeros(1))[2:4] == (False, True)


def test_swinging_reaches_the_goal_and_little_force_is_cheaper():
    problem = MountainCar()
    instance, _ = or_envs.sample(problem, 0, 50)
    full = or_envs.simulate(problem, Swing(problem), instance)
    quarter = or_envs.simulate(problem, Swing(problem, force=0.25), instance)
    assert full.num_steps.max() < 130 < quarter.num_steps.min()
    assert 88 < full.total_reward.mean() < 91
    assert 97 < quarter.total_reward.mean() < 99
    idle = or_envs.simulate(problem, np.zeros((50, 999, 1)), instance)
    assert (idle.total_reward == 0).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="horizon: expected an integer >= 1, got 0"):
        MountainCar(horizon=0)
    with pytest.raises(ValueError, match=r"force: .*\(0, 1\], got 0"):
        Swing(MountainCar(), force=0)
    env = gym.make("or_envs/MountainCar-v0")
    for bad, message in ((0.5, r"\[-1.2, 0.45\)"), ([0, 0], "shape")):
        with pytest.raises(ValueError, match=message):
            env.reset(options={"position": bad})
