"""Small agents on continuous actions."""

import gymnasium as gym
from stable_baselines3.common.vec_env import DummyVecEnv

from agents.pmoe.pmoe_sac import PMOESAC


def pendulum(num):
    return DummyVecEnv([lambda: gym.make("Pendulum-v1") for _ in range(num)])


def small_sac(cls=PMOESAC, env=None, policy="MlpPolicy", **settings):
    defaults = {
        "learning_starts": 20,
        "batch_size": 16,
        "buffer_size": 1000,
        "seed": 3,
        "device": "cpu",
        "policy_kwargs": {"net_arch": [16, 16]},
    }
    settings = {**defaults, **settings}
    settings["policy_kwargs"] = dict(settings["policy_kwargs"])  # SB3 writes into it
    return cls(policy, env or pendulum(2), **settings)
