"""PMOE and PROPS: files hold every network and optimiser, and SB3's conventions hold."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
)
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents.common.checkpoint import learn_resumable
from agents.pmoe.pmoe_ppo import PMOEPPO
from agents.pmoe.pmoe_sac import PMOESAC
from agents.props.props import PROPS
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.continuous_helpers import pendulum, small_sac
from tests.agents.helpers import build, equal_parameters, observations

#: Agents by name, with the settings that decide which networks they have.
AGENTS = {
    "pmoe_sac": (PMOESAC, {"policy_kwargs": {"net_arch": [8], "n_components": 3}}),
    "pmoe_sac, fixed": (PMOESAC, {"ent_coef": 0.1, "entropy_mode": "mixture"}),
    "pmoe_ppo": (PMOEPPO, {"policy_kwargs": {"net_arch": [8], "router_arch": [4]}}),
    "props": (PROPS, {"behavior_n_steps": 20}),
    "props, ros": (PROPS, {"sampling": "ros", "buffer_batches": 1}),
    "props, on_policy": (PROPS, {"sampling": "on_policy"}),
}
NAMES = pytest.mark.parametrize("name", AGENTS)


class DictPendulum(gym.ObservationWrapper):
    def __init__(self):
        super().__init__(gym.make("Pendulum-v1"))
        low, high = self.observation_space.low, self.observation_space.high
        self.observation_space = gym.spaces.Dict(
            {"angle": gym.spaces.Box(low[:2], high[:2]), "speed": gym.spaces.Box(low[2:], high[2:])}
        )

    def observation(self, observation):
        return {"angle": observation[:2], "speed": observation[2:]}


def make(name, env=None, policy="MlpPolicy", **settings):
    cls, own = AGENTS[name]
    maker = small_sac if cls is PMOESAC else build
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return maker(cls, env or pendulum(2), policy, **{**own, **settings})


def flat(state, place=""):
    """Tensors and numbers of nested state dicts by their path."""
    if isinstance(state, dict):
        return {k: v for key in state for k, v in flat(state[key], f"{place}/{key}").items()}
    if isinstance(state, list | tuple):
        return {k: v for i, part in enumerate(state) for k, v in flat(part, f"{place}/{i}").items()}
    return {place: state}


def assert_equal_state(a, b):
    a, b = flat(a.get_parameters()), flat(b.get_parameters())
    assert a.keys() == b.keys()
    for key, value in a.items():
        same = torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]
        assert same, key


@NAMES
def test_files_hold_every_network_and_optimizer(name, tmp_path):
    path = tmp_path / "model.safetensors"
    model = make(name).learn(80)
    parts = model.get_parameters()
    assert sum("optimizer" in part for part in parts) >= 1
    for part, state in parts.items():
        assert "optimizer" not in part or state["state"] or "behavior" in part
    model.save(path)
    assert path.stat().st_size < 5e6
    loaded = type(model).load(path)
    assert_equal_state(model, loaded)
    if name == "pmoe_sac":
        assert torch.equal(model.log_ent_coef, loaded.log_ent_coef)
    obs = observations(model)
    for deterministic in (True, False):
        torch.manual_seed(0)
        expected, _ = model.predict(obs, deterministic=deterministic)
        torch.manual_seed(0)
        actual, _ = loaded.predict(obs, deterministic=deterministic)
        np.testing.assert_array_equal(actual, expected)
    again = type(model).load(path, pendulum(1))
    again.learn(80)
    assert not equal_parameters(again, loaded)


@NAMES
def test_parameters_are_set_from_outside(name, tmp_path):
    model, other = make(name).learn(80), make(name, seed=9)
    other.set_parameters(model.get_parameters(), exact_match=True)
    assert_equal_state(model, other)
    model.policy.save(tmp_path / "policy.pt")
    policy = type(model.policy).load(tmp_path / "policy.pt")
    obs = observations(model, 5)
    expected, _ = model.predict(obs, deterministic=True)
    np.testing.assert_array_equal(policy.predict(obs, deterministic=True)[0], expected)


@NAMES
@pytest.mark.parametrize("num", [1, 4])
def test_same_seed_same_parameters(name, num):
    a, b, c = (make(name, pendulum(num), seed=seed).learn(200) for seed in (5, 5, 6))
    assert_equal_state(a, b)
    assert not equal_parameters(a, c)


@NAMES
def test_normalised_dict_observations_and_callbacks(name, tmp_path):
    env = VecNormalize(DummyVecEnv([DictPendulum for _ in range(2)]))
    seen = []

    class Stop(BaseCallback):
        def _on_step(self):
            seen.append(self.num_timesteps)
            return self.num_timesteps < 90

    evaluation = VecNormalize(DummyVecEnv([DictPendulum]), training=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        evaluate = EvalCallback(evaluation, eval_freq=40, n_eval_episodes=1, verbose=0)
    checkpoint = CheckpointCallback(40, str(tmp_path))
    model = make(name, env, "MultiInputPolicy")
    model.learn(200, callback=CallbackList([checkpoint, evaluate, Stop()]))
    assert seen[-1] == 90
    assert model.num_timesteps == 90
    assert len(list(tmp_path.iterdir())) == 1
    model.save(tmp_path / "model.safetensors")
    assert_equal_state(model, type(model).load(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("name", ["pmoe_ppo", "props", "props, ros"])
def test_killed_and_resumed(name, tmp_path):
    """The ring and the adapted policy are in the checkpoint."""
    path = tmp_path / "checkpoint.safetensors"

    def model():
        env = make_sb3_vec_env("or_envs/LotSizing-v0", 4, 0, 0.01, instance="15x5", horizon=7)
        return make(name, env)

    class Kill(BaseCallback):
        def _on_step(self):
            if self.num_timesteps > 260:
                raise KeyboardInterrupt
            return True

    expected = model().learn(400)
    with pytest.raises(KeyboardInterrupt):
        learn_resumable(model(), 400, path, every=1, callback=Kill())
    resumed = model()
    learn_resumable(resumed, 400, path)
    assert_equal_state(expected, resumed)
