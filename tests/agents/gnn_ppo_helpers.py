"""Small job shops, models and decisions for the tests of GNN-PPO."""

import numpy as np
import torch

import or_envs
from agents.gnn_ppo.gnn_ppo import GNNPPO
from or_envs.core.sb3 import make_sb3_vec_env

ID = "or_envs/ISBJSSP-v0"
SHOP = {"num_jobs": 4, "num_machines": 3, "p_down": 0.0}
POLICIES = {"JobTokens": "jobs", "JobGraph": "graph"}


def problem_of(**kwargs):
    return or_envs.make_problem(ID, **{**SHOP, **kwargs})


def model_of(policy="JobTokens", env=None, num_envs=1, **settings):
    kwargs = {**SHOP, "observation": POLICIES[policy], **(env or {})}
    small = {
        "groups": 4,
        "group_size": 4,
        "n_steps": 8,
        "batch_size": 32,
        "dev_instances": 8,
        "dev_every": 2,
        "seed": 0,
        "device": "cpu",
    }
    settings.setdefault("policy_kwargs", {"width": 16})
    env = make_sb3_vec_env(ID, num_envs, 0, **kwargs)
    return GNNPPO(policy, env, **{**small, **settings})


def midgame(problem, num=6, steps=5, seed=0):
    """Instances and states some random decisions after the start; none of them final."""
    instance, exogenous = or_envs.sample(problem, seed, num)
    state = problem.initial(instance)
    rng = np.random.default_rng(seed)
    for step in range(steps):
        mask = problem.action_mask(instance, state)
        actions = (rng.random(mask.shape) * mask).argmax(axis=1)
        post, _ = problem.post_decision(instance, state, actions)
        now = None
        if exogenous is not None:
            now = problem.exogenous_at(exogenous, np.full(num, step))
        state, _, over = problem.transition(instance, post, now)
        assert not over.any()
    return instance, state


def tensors(seen):
    return {name: torch.from_numpy(np.array(value)) for name, value in seen.items()}


def scores_of(model, seen):
    with torch.no_grad():
        seen = tensors(seen)
        return model.policy.evaluate(seen, seen["action_mask"] > 0)[0].numpy()


def parameters(model):
    return torch.cat([p.detach().flatten() for p in model.policy.state_dict().values()])
