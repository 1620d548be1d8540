"""Small problems, their best solutions, and small models of BQ-NCO."""

import numpy as np
import pytest
import torch

import or_envs
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.labels import Labels
from agents.bq_nco.subproblems import SUBPROBLEMS
from or_envs.core.sb3 import make_sb3_vec_env

SIZES = {
    "TSP": {"num_cities": 6},
    "ATSP": {"num_cities": 6},
    "CVRP": {"num_customers": 5, "capacity": 12},
    "Orienteering": {"num_customers": 6, "budget": 1.8},
    "Knapsack": {"num_items": 8, "family": "integers", "capacity": 1500.0},
}


every_problem = pytest.mark.parametrize("name", SIZES)


def problem_of(name, **kwargs):
    return or_envs.make_problem(f"or_envs/{name}-v0", **{**SIZES[name], **kwargs})


def best_solution(problem, instance, state=None):
    """Largest total reward from a state, and actions that have it, by trying everything."""
    state = problem.initial(instance) if state is None else state
    best, plan = -np.inf, []
    for action in np.flatnonzero(problem.action_mask(instance, state)[0]):
        post, reward = problem.post_decision(instance, state, np.array([action]))
        following, outcome, over = problem.transition(instance, post, None)
        value, rest = (0.0, []) if over[0] else best_solution(problem, instance, following)
        value += reward[0] + outcome[0]
        if value > best + 1e-12:
            best, plan = value, [int(action), *rest]
    return best, plan


def solved(name, num):
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 0, num)
    actions = np.full((num, problem.max_steps), -1)
    for row in range(num):
        _, plan = best_solution(problem, instance.rows(np.array([row])))
        actions[row, : len(plan)] = plan
    return Labels(instance, actions)


def model_of(name, tmp_path, labels=None, **kwargs):
    path = tmp_path / "labels.npz"
    (labels or solved(name, 6)).save(path)
    env = make_sb3_vec_env(f"or_envs/{name}-v0", 1, 0, **SIZES[name])
    settings = {"dev_every": 10, "dev_instances": 8, "tokens": 200, "warm_up": 5, "seed": 0}
    architecture = {"dim": 32, "heads": 4, "layers": 2, "feed_forward": 32}
    return BQNCO(
        "BQPolicy",
        env,
        labels=[str(path)],
        device="cpu",
        **{"policy_kwargs": architecture, **settings, **kwargs},
    )


def drawn(name, tokens=60, seed=0):
    labels = solved(name, 6)
    instance = labels.instance.to_torch("cpu", torch.float64)
    data = SUBPROBLEMS[name](instance, torch.from_numpy(labels.actions))
    return [data.draw(torch.Generator().manual_seed(seed + k), tokens) for k in range(12)]
