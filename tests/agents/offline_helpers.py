"""Small environments, data sets and agents for the tests of RLPD and EXPO."""

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv

from agents.expo.expo import EXPO
from agents.rlpd.rlpd import RLPD

SMALL = {
    "learning_starts": 10,
    "batch_size": 16,
    "gradient_steps": 2,
    "buffer_size": 500,
    "device": "cpu",
}
BASE_KWARGS = {
    "gmm": {"components": 3, "net_arch": [8]},
    "gaussian": {"net_arch": [8]},
    "ddpm": {"steps": 3, "width": 8, "blocks": 1},
    "flow": {"steps": 3, "width": 8, "blocks": 1},
}
#: Every algorithm, with the settings that make it another one.
AGENTS = [
    (RLPD, {}),
    (RLPD, {"ent_coef": 0.1, "entropy_backup": True}),
    *((EXPO, {"base": base}) for base in BASE_KWARGS),
    (EXPO, {"base": "gmm", "edit_mode": "uniform", "entropy_backup": True}),
    (EXPO, {"base": "gmm", "edit_mode": "none", "backup": "sarsa"}),
]


class Point(gym.Env):
    """Pull a point to the middle: ten steps, forces between -2 and 4, sees where it is."""

    def __init__(self, dicts=False):
        self.action_space = gym.spaces.Box(-2, 4, (2,))
        place = gym.spaces.Box(-10, 10, (2,), np.float32)
        clock = gym.spaces.Box(0, 1, (1,), np.float32)
        self.dicts = dicts
        self.observation_space = gym.spaces.Dict({"place": place, "clock": clock})
        if not dicts:
            self.observation_space = gym.spaces.Box(-10, 10, (3,), np.float32)

    def _see(self):
        clock = np.array([self.time / 10], dtype=np.float32)
        if self.dicts:
            return {"place": self.place.astype(np.float32), "clock": clock}
        return np.concatenate([self.place, clock]).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        self.place = self.np_random.uniform(-3, 3, 2)
        return self._see(), {}

    def step(self, action):
        self.time += 1
        self.place = np.clip(0.8 * self.place + 0.1 * np.asarray(action), -10, 10)
        return self._see(), -float(self.place @ self.place), False, self.time == 10, {}


def points(num=1, dicts=False):
    return DummyVecEnv([lambda: Point(dicts) for _ in range(num)])


def data_of_points(num=64, dicts=False, seed=0):
    """Transitions of random play with two habits: forces near 0, and near 2."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(-3, 3, (num, 2)).astype(np.float32)
    actions = rng.choice([0.0, 2.0], (num, 1)) + rng.normal(0, 0.1, (num, 2))
    after = (0.8 * place + 0.1 * actions).astype(np.float32)
    clock = rng.integers(0, 9, (num, 1)).astype(np.float32) / 10
    later = (clock + 0.1).astype(np.float32)
    if dicts:
        seen, following = {"place": place, "clock": clock}, {"place": after, "clock": later}
    else:
        seen, following = np.hstack([place, clock]), np.hstack([after, later])
    return {
        "observations": seen,
        "actions": actions,
        "rewards": -(after**2).sum(axis=1),
        "next_observations": following,
        "terminations": np.zeros(num, dtype=bool),
    }


def build(cls, env=None, policy="MlpPolicy", seed=3, **settings):
    """A small agent with the data set of the points, unless told otherwise."""
    dicts = policy == "MultiInputPolicy"
    env = points(dicts=dicts) if env is None else env
    policy_kwargs = {"net_arch": [8], "n_critics": 3}
    if cls is EXPO:
        settings = {"base": "gmm", "n_candidates": 3, "n_edited": 2, **settings}
        policy_kwargs["base_kwargs"] = BASE_KWARGS[settings["base"]]
    settings = {"offline_dataset": data_of_points(dicts=dicts), **settings}
    kwargs = {**SMALL, "policy_kwargs": policy_kwargs, **settings}
    return cls(policy, env, seed=seed, **kwargs)
