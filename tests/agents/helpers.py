"""Small models and comparisons for the tests of the agents."""

import warnings

import numpy as np
import torch

from or_envs.core.sb3 import make_sb3_vec_env

LOT_SIZING = "or_envs/LotSizing-v0"
TSP = "or_envs/TSP-v0"
SMALL = {
    "n_steps": 20,
    "batch_size": 40,
    "n_epochs": 2,
    "ent_coef": 0.003,
    "policy_kwargs": {"net_arch": [16, 16]},
    "device": "cpu",
}


def lot_sizing(num=4, scale=0.01, **kwargs):
    return make_sb3_vec_env(
        LOT_SIZING, num, 0, scale, **{"instance": "15x5", "horizon": 7, **kwargs}
    )


def build(cls, env, policy="MlpPolicy", seed=3, **settings):
    with warnings.catch_warnings():  # SB3 on the size of minibatches
        warnings.simplefilter("ignore", UserWarning)
        return cls(policy, env, seed=seed, **{**SMALL, **settings})


def parameters(model):
    return {name: p.detach().clone() for name, p in model.policy.named_parameters()}


def equal_parameters(a, b, names=None):
    a, b = parameters(a), parameters(b)
    return all(torch.equal(a[name], b[name]) for name in names or a.keys() | b.keys())


def observations(model, num=50):
    space = model.observation_space
    space.seed(0)
    drawn = [space.sample() for _ in range(num)]
    if isinstance(drawn[0], dict):
        return {key: np.stack([one[key] for one in drawn]) for key in drawn[0]}
    return np.stack(drawn)
