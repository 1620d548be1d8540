"""The laws that hold for every registered environment."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import or_envs
from or_envs.core.check import check_problem
from or_envs.core.env import Env
from or_envs.core.vector_env import VectorEnv
from tests.cases import CASES, every_case, few_cases


def test_every_id_of_the_table_is_tested():
    assert {id for id, _ in CASES} == set(or_envs.TABLE)


@every_case
def test_check_problem(id, kwargs):
    check_problem(or_envs.make_problem(id, **kwargs), seed=3)


@every_case
def test_checkers_of_gymnasium_and_sb3(id, kwargs):
    env = gym.make(id, **kwargs).unwrapped
    with warnings.catch_warnings():
        # Raw stocks as published and two-dimensional boxes only draw advice, never an error.
        warnings.simplefilter("ignore", UserWarning)
        check_env(env)
        sb3_check_env(env)


def play(env, seed, steps, rng):
    """Observations, rewards and ends of random legal play with automatic resets."""
    observation, _ = env.reset(seed=seed)
    history = [observation]
    for _ in range(steps):
        action = env.batch.actions.sample(env.batch.mask(), 1, rng)[0]
        observation, reward, terminated, truncated, _ = env.step(action)
        history.append((action, observation, reward, terminated, truncated))
        if terminated or truncated:
            history.append(env.reset()[0])
    return history


@few_cases
def test_same_seed_same_episodes(id, kwargs):
    env = gym.make(id, **kwargs).unwrapped
    first = play(env, 5, 250, np.random.default_rng(0))
    second = play(env, 5, 250, np.random.default_rng(0))
    np.testing.assert_equal(first, second)
    other = play(env, 6, 250, np.random.default_rng(0))
    with pytest.raises(AssertionError):
        np.testing.assert_equal(first, other)


@few_cases
def test_64_vectorised_copies_equal_64_single_environments(id, kwargs):
    """Over several episodes, with SAME_STEP resets inside the batch."""
    vector = gym.make_vec(id, 64, vectorization_mode="vector_entry_point", **kwargs)
    assert isinstance(vector, VectorEnv)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    singles = [gym.make(id, **kwargs).unwrapped for _ in range(64)]
    observation, _ = vector.reset(seed=11)
    for row, env in enumerate(singles):
        np.testing.assert_equal(pick(observation, row), env.reset(seed=11 + row)[0])
    rng = np.random.default_rng(1)
    steps = 2 * vector.problem.max_steps + 3
    for _ in range(min(steps, 210)):
        actions = vector.batch.actions.sample(vector.batch.mask(), 64, rng)
        observation, reward, terminated, truncated, infos = vector.step(actions)
        for row in (0, 17, 63):
            env = singles[row]
            one, r, end, cut, _ = env.step(actions[row])
            assert (r, end, cut) == (reward[row], terminated[row], truncated[row])
            if end or cut:
                assert infos["_final_obs"][row]
                np.testing.assert_equal(infos["final_obs"][row], one)
                one, _ = env.reset()
            np.testing.assert_equal(pick(observation, row), one)


def pick(observation, row):
    if isinstance(observation, dict):
        return {key: value[row] for key, value in observation.items()}
    return observation[row]


@few_cases
def test_next_step_autoreset(id, kwargs):
    """The step after an end ignores its action, gives reward 0 and the first observation."""
    vector = gym.make_vec(
        id, 3, vectorization_mode="vector_entry_point", autoreset_mode="NextStep", **kwargs
    )
    same = gym.make_vec(id, 3, vectorization_mode="vector_entry_point", **kwargs)
    vector.reset(seed=2)
    same.reset(seed=2)
    rng = np.random.default_rng(0)
    for _ in range(vector.problem.max_steps):
        actions = vector.batch.actions.sample(vector.batch.mask(), 3, rng)
        a = vector.step(actions)
        b = same.step(actions)
    assert (a[2] | a[3]).all()
    np.testing.assert_equal(pick(a[0], 1), b[4]["final_obs"][1])
    restart = vector.step(actions)
    np.testing.assert_equal(restart[0], b[0])
    np.testing.assert_array_equal(restart[1], 0.0)
    assert not (restart[2] | restart[3]).any()
    actions = vector.batch.actions.sample(vector.batch.mask(), 3, rng)
    np.testing.assert_equal(vector.step(actions)[:4], same.step(actions)[:4])


def test_next_step_autoreset_of_some_rows():
    """Rows end at different times: an illegal action ends row 1 early."""
    vector = VectorEnv("or_envs.routing.tsp:TSP", 3, AutoresetMode.NEXT_STEP, num_cities=5)
    vector.reset(seed=0)
    _, reward, terminated, _, infos = vector.step(np.array([1, 0, 2]))
    assert terminated.tolist() == [False, True, False]
    assert "already visited" in infos["invalid_action"][1]
    assert infos["_invalid_action"].tolist() == [False, True, False]
    _, reward, terminated, _, infos = vector.step(np.array([2, 0, 3]))
    assert reward[1] == 0.0
    assert not terminated.any()
    assert vector.batch.steps.tolist() == [2, 0, 2]
    assert vector.state.remaining[1].sum() == 4
    assert vector.state.remaining[0].sum() == 2


def test_same_step_autoreset_of_some_rows():
    vector = VectorEnv("or_envs.routing.tsp:TSP", 3, num_cities=5)
    vector.reset(seed=0)
    before = vector.instance.coordinates.copy()
    observation, _, terminated, _, infos = vector.step(np.array([1, 0, 2]))
    assert terminated.tolist() == [False, True, False]
    assert infos["_final_obs"].tolist() == [False, True, False]
    assert infos["final_obs"][1]["remaining"].sum() == 4
    changed = (vector.instance.coordinates != before).any(axis=(1, 2))
    assert changed.tolist() == [False, True, False]
    assert vector.batch.steps.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(observation["remaining"].sum(axis=1), [3, 4, 3])


def test_disabled_autoreset_needs_the_caller():
    vector = VectorEnv("or_envs.routing.tsp:TSP", 2, AutoresetMode.DISABLED, num_cities=3)
    vector.reset(seed=0)
    vector.step(np.array([1, 0]))
    with pytest.raises(gym.error.ResetNeeded, match="environment 1"):
        vector.step(np.array([2, 1]))
    vector.reset(options={"reset_mask": np.array([False, True])})
    assert vector.batch.steps.tolist() == [1, 0]
    _, _, terminated, _, _ = vector.step(np.array([2, 1]))
    assert terminated.tolist() == [True, False]


def test_time_limit_is_truncation_and_end_of_task_is_termination():
    limited = Env("or_envs.lot_sizing.problem:LotSizing", instance="VI-A", horizon=2)
    limited.reset(seed=0)
    assert limited.step([0])[2:4] == (False, False)
    assert limited.step([0])[2:4] == (False, True)
    finite = Env(
        "or_envs.lot_sizing.problem:LotSizing", instance="VI-A", horizon=2, finite_horizon=True
    )
    finite.reset(seed=0)
    assert finite.step([0])[2:4] == (False, False)
    assert finite.step([0])[2:4] == (True, False)


@few_cases
def test_rendering(id, kwargs):
    env = gym.make(id, render_mode="rgb_array", **kwargs)
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (600, 900, 3)
    assert first.dtype == np.uint8
    assert first.std() > 10
    inner = env.unwrapped
    env.step(inner.batch.actions.sample(inner.batch.mask(), 1, np.random.default_rng(0))[0])
    assert (env.render() != first).any()


def test_window_rendering(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    env = gym.make("or_envs/TSP-v0", num_cities=4, render_mode="human")
    env.reset(seed=0)
    env.step(1)
    assert env.unwrapped._recorder._window is not None
    env.close()
    assert env.unwrapped._recorder._window is None
