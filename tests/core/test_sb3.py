"""The adapter plays as DummyVecEnv over the single environments does."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import or_envs
from or_envs.core.actions import ActionChecker
from or_envs.core.sb3 import SB3VecEnv, make_sb3_vec_env

LOT_SIZING = ("or_envs/LotSizing-v0", {"instance": "15x5", "horizon": 6})
FINITE = ("or_envs/LotSizing-v0", {"instance": "VI-A", "horizon": 4, "finite_horizon": True})
RANDOM = (
    "or_envs/LotSizing-v0",
    {"instance": "random", "n_items": 3, "n_machines": 2, "horizon": 5},
)
TSP = ("or_envs/TSP-v0", {"num_cities": 5})
PROBLEMS = pytest.mark.parametrize(("env_id", "kwargs"), [LOT_SIZING, FINITE, TSP])

HALF_STEPS = {"post_decision_obs", "post_decision_reward", "exogenous_reward"}


def equal(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return all(equal(a[key], b[key]) for key in a)
    return np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype


def dummy(env_id, kwargs, num):
    return DummyVecEnv([lambda: Monitor(gym.make(env_id, **kwargs)) for _ in range(num)])


def allowed_actions(env, rng):
    checker = ActionChecker(env.vector_env.problem)
    return checker.sample(env.vector_env.action_masks(), env.num_envs, rng)


@PROBLEMS
def test_equals_dummy_vec_env(env_id, kwargs):
    ours, theirs = make_sb3_vec_env(env_id, 3, 7, **kwargs), dummy(env_id, kwargs, 3)
    theirs.seed(7)
    rng = np.random.default_rng(0)
    assert equal(ours.reset(), theirs.reset())
    episodes = 0
    for _ in range(20):
        assert np.array_equal(get_action_masks(ours), get_action_masks(theirs))
        actions = allowed_actions(ours, rng)
        (a, reward_a, done_a, infos_a), (b, reward_b, done_b, infos_b) = (
            ours.step(actions),
            theirs.step(actions),
        )
        assert equal(a, b)
        assert equal(reward_a, reward_b)
        assert equal(done_a, done_b)
        for info_a, info_b in zip(infos_a, infos_b, strict=True):
            assert info_a.keys() == info_b.keys()
            assert info_a["TimeLimit.truncated"] is info_b["TimeLimit.truncated"]
            for key in HALF_STEPS & info_a.keys():
                assert equal(info_a[key], info_b[key]), key
            if "terminal_observation" in info_a:
                episodes += 1
                assert equal(info_a["terminal_observation"], info_b["terminal_observation"])
                assert info_a["episode"]["r"] == pytest.approx(info_b["episode"]["r"], abs=1e-5)
                assert info_a["episode"]["l"] == info_b["episode"]["l"]
    assert episodes >= 3 * 3


@pytest.mark.parametrize(
    ("env_id", "kwargs", "truncated"), [(*LOT_SIZING, True), (*FINITE, False), (*TSP, False)]
)
def test_end_of_episode(env_id, kwargs, truncated):
    env = make_sb3_vec_env(env_id, 2, 0, **kwargs)
    env.reset()
    rng = np.random.default_rng(1)
    done = np.zeros(2, bool)
    while not done.any():
        previous = env.vector_env.action_masks()
        _, _, done, infos = env.step(allowed_actions(env, rng))
    assert done.all()
    assert previous.shape == env.vector_env.action_masks().shape
    assert [info["TimeLimit.truncated"] for info in infos] == [truncated] * 2


def test_deterministic_problems_have_no_half_steps():
    env = make_sb3_vec_env(TSP[0], 2, 0, **TSP[1])
    env.reset()
    _, _, _, infos = env.step(allowed_actions(env, np.random.default_rng(0)))
    assert not HALF_STEPS & infos[0].keys()


def test_reward_scale():
    plain, scaled = (make_sb3_vec_env(LOT_SIZING[0], 2, 0, s, **LOT_SIZING[1]) for s in (1, 0.25))
    plain.reset()
    scaled.reset()
    rng = np.random.default_rng(0)
    total = np.zeros(2)
    for _ in range(6):
        actions = allowed_actions(plain, rng)
        _, reward, _, infos = plain.step(actions)
        _, small, _, small_infos = scaled.step(actions)
        total += reward
        np.testing.assert_allclose(small, reward * 0.25, rtol=1e-6)
        for value, info, small_info in zip(small, infos, small_infos, strict=True):
            parts = small_info["post_decision_reward"] + small_info["exogenous_reward"]
            assert parts == pytest.approx(value, rel=1e-6)
            assert small_info["exogenous_reward"] == 0.25 * info["exogenous_reward"]
            assert equal(small_info["post_decision_obs"], info["post_decision_obs"])
    # Returns are in the problem's own units in both.
    for row in range(2):
        assert small_infos[row]["episode"]["r"] == infos[row]["episode"]["r"]
        assert small_infos[row]["episode"]["r"] == pytest.approx(total[row], rel=1e-6)
        assert equal(infos[row]["terminal_observation"], small_infos[row]["terminal_observation"])


def test_returns_start_again_with_reset():
    env = make_sb3_vec_env(LOT_SIZING[0], 2, 0, **LOT_SIZING[1])
    rng = np.random.default_rng(0)
    for _ in range(2):
        env.reset()
        env.step(allowed_actions(env, rng))
    for _ in range(5):
        _, _, _, infos = env.step(allowed_actions(env, rng))
    assert infos[0]["episode"]["l"] == 6


def test_invalid_action_is_explained_in_its_row_only():
    env = make_sb3_vec_env(TSP[0], 3, 0, **TSP[1])
    env.reset()
    _, reward, done, infos = env.step(np.array([1, 0, 2]))
    assert done.tolist() == [False, True, False]
    assert "already visited" in infos[1]["invalid_action"]
    assert "invalid_action" not in infos[0]
    assert reward[1] == pytest.approx(infos[1]["episode"]["r"])


def test_masks():
    env = make_sb3_vec_env(TSP[0], 3, 0, **TSP[1])
    env.reset()
    env.step(np.array([1, 2, 3]))
    assert is_masking_supported(env)
    expected = np.ones((3, 5), bool)
    expected[:, 0] = False
    expected[[0, 1, 2], [1, 2, 3]] = False
    assert np.array_equal(get_action_masks(env), expected)
    assert np.array_equal(env.env_method("action_masks", indices=[2])[0], expected[2])
    with pytest.raises(AttributeError, match="action_masks"):
        env.env_method("jump")


def test_attributes():
    env = make_sb3_vec_env(TSP[0], 3, 0, **TSP[1])
    assert env.get_attr("action_space", [0, 1]) == [gym.spaces.Discrete(5)] * 2
    assert not env.has_attr("no_such_attribute")
    env.set_attr("colour", "blue")
    assert env.get_attr("colour", 1) == ["blue"]
    with pytest.raises(ValueError, match="share"):
        env.set_attr("colour", "red", [1])
    assert env.env_is_wrapped(Monitor) == [False] * 3


def test_options():
    env = make_sb3_vec_env("or_envs/LotSizing-v0", 2, 0, instance="VI-A")
    env.set_options({"inventory": [1, 2]})
    first = env.reset()
    np.testing.assert_allclose(first[:, :2], [[0.2, 0.4]] * 2, rtol=1e-6)
    starts = np.stack([env.reset()[:, :2] for _ in range(20)])
    assert (starts != first[:, :2]).any()  # used once
    with pytest.raises(ValueError, match="one dict"):
        env.set_options([{}, {}])


def test_seed_repeats_episodes():
    env = make_sb3_vec_env(*LOT_SIZING[:1], 2, 5, **LOT_SIZING[1])
    first = env.reset()
    assert not equal(env.reset(), first)
    env.seed(5)
    assert equal(env.reset(), first)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_modes_are_refused(mode):
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=4)
    with pytest.raises(ValueError, match=f"'SameStep', got '{mode.value}'"):
        SB3VecEnv(or_envs.VectorEnv(problem, 2, autoreset_mode=mode))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_bad_scale_is_refused(scale):
    with pytest.raises(ValueError, match="reward_scale"):
        make_sb3_vec_env(TSP[0], 2, 0, scale)


@pytest.mark.parametrize(("env_id", "kwargs"), [LOT_SIZING, FINITE, RANDOM, TSP])
def test_state_continues_exactly(env_id, kwargs):
    env = make_sb3_vec_env(env_id, 3, 0, **kwargs)
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(3):
        env.step(allowed_actions(env, rng))
    arrays, rest = env.get_state()
    other = make_sb3_vec_env(env_id, 3, 99, **kwargs)
    other.set_state(arrays, rest)
    for _ in range(12):  # new episodes, and so the generators, are reached
        actions = allowed_actions(env, rng)
        a, b = env.step(actions), other.step(actions)
        assert equal(a[0], b[0])
        assert equal(a[1], b[1])
        assert [i.get("episode", {}).get("r") for i in a[3]] == [
            i.get("episode", {}).get("r") for i in b[3]
        ]


def test_state_is_a_copy():
    env = make_sb3_vec_env(*LOT_SIZING[:1], 2, 0, **LOT_SIZING[1])
    env.reset()
    before, _ = env.get_state()
    kept = {name: array.copy() for name, array in before.items()}
    for _ in range(8):
        env.step(allowed_actions(env, np.random.default_rng(0)))
    assert equal(before, kept)


def test_state_of_another_environment_is_refused():
    def state(env_id, num, scale=1.0, **kwargs):
        env = make_sb3_vec_env(env_id, num, 0, scale, **kwargs)
        env.reset()
        return env.get_state()

    env = make_sb3_vec_env("or_envs/LotSizing-v0", 2, 0, instance="VI-A")
    with pytest.raises(ValueError, match="holds 3 environments, expected 2"):
        env.set_state(*state("or_envs/LotSizing-v0", 3, instance="VI-A"))
    with pytest.raises(ValueError, match=r"reward_scale 0\.5, expected 1\.0"):
        env.set_state(*state("or_envs/LotSizing-v0", 2, 0.5, instance="VI-A"))
    with pytest.raises(ValueError, match=r"another problem.*coordinates"):
        env.set_state(*state("or_envs/TSP-v0", 2))
    with pytest.raises(ValueError, match="production"):
        env.set_state(*state("or_envs/LotSizing-v0", 2, instance="15x5"))
    with pytest.raises(ValueError, match="reset"):
        make_sb3_vec_env("or_envs/TSP-v0", 2, 0).get_state()
