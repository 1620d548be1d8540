"""PPO and MaskablePPO train through the adapter."""

import numpy as np
import pytest

from agents.common.checkpoint import learn_resumable
from agents.pdppo.pdppo import PDPPO
from agents.ppo.ppo import PPO, MaskablePPO
from or_envs import make_problem, policy_rule, sample, simulate
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.helpers import LOT_SIZING, TSP, build, lot_sizing, parameters


@pytest.mark.parametrize("cls", [PPO, MaskablePPO])
@pytest.mark.parametrize("env_id", [LOT_SIZING, TSP])
def test_trains(cls, env_id):
    if env_id == TSP:
        env, policy = make_sb3_vec_env(TSP, 4, 0, num_cities=5), "MultiInputPolicy"
    else:
        env, policy = lot_sizing(instance="VI-A"), "MlpPolicy"
    model = build(cls, env, policy)
    before = parameters(model)
    model.learn(160)
    after = parameters(model)
    assert all((after[name] != before[name]).any() for name in after)
    assert all(after[name].isfinite().all() for name in after)
    # Returns are unscaled: money, or lengths of tours.
    assert len(model.ep_info_buffer) > 0
    assert all(episode["r"] < 0 for episode in model.ep_info_buffer)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "settings"), [(MaskablePPO, {"gae_lambda": 1.0}), (PDPPO, {"advantage": "pd_td"})]
)
def test_learns_to_beat_idling(cls, settings, tmp_path):
    """VI-A, 30,000 steps: well below the cost of the policy that never produces."""
    env = make_sb3_vec_env(LOT_SIZING, 16, 0, 0.01, instance="VI-A")
    settings = {
        **settings,
        "n_steps": 100,
        "batch_size": 400,
        "n_epochs": 8,
        "learning_rate": 1e-3,
        "policy_kwargs": {"net_arch": [64, 64]},
    }
    model = build(cls, env, seed=0, **settings)
    learn_resumable(model, 30_000, tmp_path / "checkpoint")
    problem = make_problem(LOT_SIZING, instance="VI-A")
    instance, exogenous = sample(problem, 1_000_000, 50)
    cost = -simulate(problem, policy_rule(problem, model), instance, exogenous).total_reward
    idle = -simulate(
        problem, lambda i, s: np.zeros((s.num, 1), np.int64), instance, exogenous
    ).total_reward
    assert cost.mean() < 0.6 * idle.mean()
