"""PDPPO's switches: two critics of one state, old roll-outs, expected outcomes, learning rates."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from agents.common.checkpoint import learn_resumable
from agents.pdppo.pdppo import PDPPO
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.helpers import (
    LOT_SIZING,
    TSP,
    build,
    equal_parameters,
    lot_sizing,
    observations,
    parameters,
)
from tests.agents.test_checkpoint import ROLLOUT, Kill, assert_equal_runs, final_state

# ---- two critics of s -----------------------------------------------------------------------


def test_value_of_two_critics_is_their_mean():
    model = build(PDPPO, lot_sizing(horizon=100), advantage="ppo_two_critics")
    model.train = lambda: None
    model.learn(80)
    buffer = model.rollout_buffer
    obs = torch.as_tensor(buffer.observations.reshape(80, -1))
    with torch.no_grad():
        first, second = model.policy.predict_values(obs), model.policy.predict_post_values(obs)
    assert not torch.allclose(first, second)
    np.testing.assert_allclose(buffer.values.reshape(80, 1), (first + second) / 2, atol=1e-6)


def test_time_limits_are_bootstrapped_with_the_mean():
    rewards, ends = [], []

    def note(local, _):
        rewards.append(local["rewards"].copy())
        ends.append([info.get("terminal_observation") for info in local["infos"]])
        return True

    model = build(PDPPO, lot_sizing(), advantage="ppo_two_critics")
    model.train = lambda: None
    buffer = model.learn(80, callback=note).rollout_buffer
    for t, (reward, last) in enumerate(zip(rewards, ends, strict=True)):
        expected = reward
        if (t + 1) % 7 == 0:  # the horizon
            obs = torch.as_tensor(np.stack(last))
            with torch.no_grad():
                critics = model.policy.predict_values(obs), model.policy.predict_post_values(obs)
            expected = reward + model.gamma * (sum(critics) / 2).numpy()[:, 0]
        np.testing.assert_allclose(buffer.rewards[t], expected, rtol=1e-5)


def test_two_equal_critics_are_ppo():
    """The second critic made a copy of the first: actor and first critic learn as in PPO."""
    start = parameters(build(PDPPO, lot_sizing()))
    ppo = parameters(build(PDPPO, lot_sizing(), advantage="ppo").learn(80))
    model = build(PDPPO, lot_sizing(), advantage="ppo_two_critics")
    first = [*model.policy.mlp_extractor.value_net.parameters()]
    first += model.policy.value_net.parameters()
    with torch.no_grad():
        for second, value in zip(model.policy.post_critic_parameters(), first, strict=True):
            second.copy_(value)
    two = parameters(model.learn(80))
    for name in ppo:
        if not name.startswith("post_"):
            torch.testing.assert_close(two[name], ppo[name], rtol=1e-4, atol=1e-6)
            assert not torch.equal(ppo[name], start[name])


# ---- what the critics learn ------------------------------------------------------------------


@pytest.mark.parametrize("advantage", ["ppo", "ppo_two_critics", "pd_max", "pd_min", "pd_td"])
def test_losses_of_the_critics(advantage):
    model = build(PDPPO, lot_sizing(), advantage=advantage).learn(80)
    batch = next(model.rollout_buffer.get())
    first = model.policy.predict_values(batch.observations).flatten()
    if advantage in ("ppo", "ppo_two_critics"):
        second = model.policy.predict_post_values(batch.observations).flatten()
        targets = batch.returns, batch.returns
    else:
        second = model.policy.predict_post_values(batch.post_observations).flatten()
        targets = batch.returns, batch.post_returns
    losses = model._critic_losses(batch, first[:, None])
    errors = [
        ((target - value) ** 2).mean()
        for target, value in zip(targets, (first, second), strict=True)
    ]
    if advantage == "ppo":
        expected = {"value_loss": errors[0]}
    elif advantage == "pd_min":
        assert (first < second).any()
        assert (first > second).any()
        smaller = torch.where(first < second, first, second)
        expected = {"value_loss": ((batch.returns - smaller) ** 2).mean()}
    else:
        expected = {"value_loss": errors[0], "post_value_loss": errors[1]}
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name])


# ---- old roll-outs --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "dict"])
def test_the_newest_rollouts_are_learned_from(kind):
    """Five roll-outs, three of them in use; the values are those of their collection."""
    if kind == "array":
        model = build(PDPPO, lot_sizing(), advantage="pd_max", reuse_rollouts=3)
        names = ["observations", "post_observations", "actions", "log_probs", "advantages"]
    else:
        env = make_sb3_vec_env(TSP, 4, 0, num_cities=6)
        model = build(PDPPO, env, "MultiInputPolicy", advantage="ppo", reuse_rollouts=3)
        names = ["actions", "log_probs", "advantages", "returns", "action_masks"]
    collected, pools = [], []
    train = model.train

    def spy():
        buffer = model.rollout_buffer
        collected.append(
            {
                name: np.concatenate([getattr(buffer, name)[:, b].copy() for b in range(4)])
                for name in names
            }
        )
        train()
        pools.append({name: buffer._pool[name].copy() for name in names})

    model.train = spy
    model.learn(5 * 80)
    assert [len(pool["actions"]) for pool in pools] == [80, 160, 240, 240, 240]
    for last, pool in enumerate(pools):
        for name in names:
            parts = [one[name] for one in collected[max(0, last - 2) : last + 1]]
            expected = np.concatenate(parts)
            np.testing.assert_array_equal(pool[name].reshape(expected.shape), expected)
    assert not np.array_equal(collected[3]["log_probs"], collected[4]["log_probs"])


def test_every_kept_transition_is_yielded_once():
    model = build(PDPPO, lot_sizing(), advantage="pd_td", reuse_rollouts=2).learn(160)
    batches = list(model.rollout_buffer.get(30))
    assert [len(batch.advantages) for batch in batches] == [30] * 5 + [10]
    seen = torch.cat([batch.advantages for batch in batches]).sort().values
    pool = torch.as_tensor(model.rollout_buffer._pool["advantages"].flatten()).sort().values
    torch.testing.assert_close(seen, pool)


SETTINGS = {
    "advantage": "pd_max",
    "ratio": "per_component",
    "reuse_rollouts": 3,
    "critic_learning_rate": 2e-3,
}


def test_killed_and_resumed_with_old_rollouts(tmp_path):
    """Killed in the fifth roll-out; and stopped at the end of the third, then trained further."""
    undisturbed = build(PDPPO, lot_sizing(), **SETTINGS).learn(6 * ROLLOUT)
    expected = final_state(undisturbed)

    def resumed(path):
        model = build(PDPPO, lot_sizing(), **SETTINGS)
        learn_resumable(model, 6 * ROLLOUT, path)
        return model

    killed = build(PDPPO, lot_sizing(), **SETTINGS)
    path = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        learn_resumable(killed, 6 * ROLLOUT, path, every=2, callback=Kill(4.5 * ROLLOUT))
    model = resumed(path)
    assert_equal_runs(undisturbed, model, expected, final_state(model))

    path = tmp_path / "stopped"
    learn_resumable(build(PDPPO, lot_sizing(), **SETTINGS), 3 * ROLLOUT, path)
    model = resumed(path)
    assert_equal_runs(undisturbed, model, expected, final_state(model))
    # The old roll-outs are what it takes: without them the run ends elsewhere.
    assert not equal_parameters(
        undisturbed,
        build(PDPPO, lot_sizing(), **{**SETTINGS, "reuse_rollouts": 2}).learn(6 * ROLLOUT),
    )


# ---- expected outcomes ----------------------------------------------------------------------


def vi_a(**settings):
    env = make_sb3_vec_env(LOT_SIZING, 4, 0, 0.1, instance="VI-A", horizon=7)
    model = build(PDPPO, env, advantage="pd_sum", **settings)
    model.train = lambda: None
    return model.learn(80).rollout_buffer


def test_expected_outcome_by_hand():
    """VI-A: demand 0 or 1 with probability 1/2, cap 5, holding 0.1, lost sale 2; scale 0.1."""
    sampled, exact = vi_a(), vi_a(expected_outcome=True)
    np.testing.assert_array_equal(sampled.actions, exact.actions)
    np.testing.assert_array_equal(sampled.post_rewards, exact.post_rewards)
    stock = exact.post_observations[:, :, :2] * 5
    cost = np.zeros(stock.shape)
    for demand in (0, 1):
        lost, left = np.maximum(demand - stock, 0), np.maximum(stock - demand, 0)
        cost += 0.5 * (2 * lost + 0.1 * np.minimum(left, 5))
    np.testing.assert_allclose(exact.exogenous_rewards, -0.1 * cost.sum(axis=2), rtol=1e-5)
    assert (sampled.exogenous_rewards != exact.exogenous_rewards).mean() > 0.5
    # What is replaced is noise: on average nothing changes.
    error = (sampled.exogenous_rewards - exact.exogenous_rewards) / 0.1
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(error.size)


def test_an_illegal_action_has_no_outcome():
    model = build(PDPPO, lot_sizing(), expected_outcome=True, mask=False)
    model.train = lambda: None
    illegal = []

    def note(local, _):
        illegal.append(["invalid_action" in info for info in local["infos"]])
        return True

    buffer = model.learn(80, callback=note).rollout_buffer
    illegal = np.array(illegal)
    assert illegal.any()
    assert not illegal.all()
    np.testing.assert_array_equal(buffer.exogenous_rewards == 0, illegal)


def test_expected_outcome_needs_what_it_needs():
    dummy = DummyVecEnv([lambda: gym.make(LOT_SIZING, instance="VI-A")])
    with pytest.raises(ValueError, match="needs an SB3VecEnv, got DummyVecEnv"):
        build(PDPPO, dummy, expected_outcome=True).learn(20)
    tsp = make_sb3_vec_env(TSP, 2, 0, num_cities=5)
    with pytest.raises(ValueError, match="no closed form of the expected outcome"):
        build(PDPPO, tsp, "MultiInputPolicy", expected_outcome=True).learn(40)
    for advantage in ("ppo", "ppo_two_critics"):
        with pytest.raises(ValueError, match=f"expected_outcome: True, but advantage='{advantage}"):
            build(PDPPO, lot_sizing(), advantage=advantage, expected_outcome=True)


# ---- learning rates -------------------------------------------------------------------------


def test_learning_rate_of_the_critics():
    """Tiny: the critics stand still, and the actor's first update is as it was."""
    settings = {"n_epochs": 1, "batch_size": 80}
    start = parameters(build(PDPPO, lot_sizing(), **settings))
    usual = parameters(build(PDPPO, lot_sizing(), **settings).learn(80))
    slow = build(PDPPO, lot_sizing(), critic_learning_rate=1e-12, **settings).learn(80)
    critics = {id(p) for p in slow.policy.critic_parameters()}
    names = {name for name, p in slow.policy.named_parameters() if id(p) in critics}
    assert len(names) == 6 + 6  # two hidden layers and an output, twice
    for name, value in parameters(slow).items():
        if name in names:
            torch.testing.assert_close(value, start[name], rtol=0, atol=1e-9)
            assert not torch.allclose(usual[name], start[name], rtol=0, atol=1e-9)
        else:
            assert torch.equal(value, usual[name])


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"advantage": "ppo_two_critics"},
        {"advantage": "pd_min"},
        {"advantage": "pd_td", "expected_outcome": True},
        SETTINGS,
    ],
)
def test_save_and_load(settings, tmp_path):
    model = build(PDPPO, lot_sizing(), **settings).learn(80)
    model.save(tmp_path / "model")
    again = PDPPO.load(tmp_path / "model", lot_sizing())
    assert again.settings() == model.settings()
    assert equal_parameters(model, again)
    obs = observations(model)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], again.predict(obs, deterministic=True)[0]
    )
    again.learn(80)
