"""PDPPO: equality with PPO, every layer learns, clear errors."""

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import stable_baselines3
import torch
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

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

MODES = pytest.mark.parametrize(
    "advantage", ["ppo", "ppo_two_critics", "pd_max", "pd_min", "pd_sum", "pd_td"]
)
RATIOS = pytest.mark.parametrize("ratio", ["joint", "per_component"])


def dummy(**kwargs):
    return DummyVecEnv([lambda: gym.make(LOT_SIZING, **kwargs) for _ in range(4)])


class Recorder(KVWriter):
    def __init__(self):
        self.lines = []

    def write(self, key_values, key_excluded, step=0):
        self.lines.append(dict(key_values))

    def close(self):
        pass


# ---- equality with PPO ----------------------------------------------------------------------


@pytest.mark.parametrize("native", [True, False])
def test_bit_equal_to_sb3_ppo(native):
    """Five updates, episodes shorter than roll-outs, time limits bootstrapped."""
    kwargs = {"instance": "15x5", "horizon": 7, "allow_invalid": True}

    def env():
        return lot_sizing(allow_invalid=True) if native else dummy(**kwargs)

    theirs = build(stable_baselines3.PPO, env()).learn(400)
    ours = build(PDPPO, env(), advantage="ppo").learn(400)
    assert equal_parameters(ours, theirs, parameters(theirs))
    other = build(PDPPO, env(), advantage="ppo", seed=4).learn(400)
    assert not equal_parameters(other, theirs, parameters(theirs))


def test_bit_equal_to_maskable_ppo_on_masked_machines():
    theirs = build(sb3_contrib.MaskablePPO, lot_sizing()).learn(400)
    ours = build(PDPPO, lot_sizing(), advantage="ppo").learn(400)
    assert equal_parameters(ours, theirs, parameters(theirs))


def test_bit_equal_to_maskable_ppo_on_dicts():
    def env():
        return make_sb3_vec_env(TSP, 4, 0, num_cities=6)

    theirs = build(sb3_contrib.MaskablePPO, env(), "MultiInputPolicy").learn(400)
    ours = build(PDPPO, env(), "MultiInputPolicy", advantage="ppo").learn(400)
    assert equal_parameters(ours, theirs, parameters(theirs))


def test_continuous_actions_bit_equal_to_sb3_ppo():
    def env():
        return DummyVecEnv([lambda: gym.make("Pendulum-v1") for _ in range(4)])

    theirs = build(stable_baselines3.PPO, env()).learn(160)
    ours = build(PDPPO, env(), advantage="ppo").learn(160)
    assert equal_parameters(ours, theirs, parameters(theirs))


def test_schedules_and_early_stopping_as_in_sb3():
    settings = {"learning_rate": lambda left: 1e-3 * left, "target_kl": 1e-4, "n_epochs": 6}
    env = {"allow_invalid": True}
    theirs = build(stable_baselines3.PPO, lot_sizing(**env), **settings).learn(400)
    ours = build(PDPPO, lot_sizing(**env), advantage="ppo", **settings).learn(400)
    assert theirs._n_updates == ours._n_updates < 6 * 5
    assert equal_parameters(ours, theirs, parameters(theirs))


# ---- every part learns ----------------------------------------------------------------------


@MODES
@RATIOS
def test_every_layer_has_gradients_and_changes(advantage, ratio):
    model = build(PDPPO, lot_sizing(), advantage=advantage, ratio=ratio)
    before = parameters(model)
    model.learn(160)
    second = {id(p) for p in model.policy.post_critic_parameters()}
    assert second
    for name, parameter in model.policy.named_parameters():
        # The second critic rests in plain PPO, and only there.
        learns = advantage != "ppo" or id(parameter) not in second
        assert (parameter.grad is not None and bool(parameter.grad.any())) == learns, name
        assert torch.equal(parameter, before[name]) != learns, name


def test_the_advantages_and_ratios_differ():
    results = [
        parameters(build(PDPPO, lot_sizing(), advantage=advantage, ratio=ratio).learn(80))
        for advantage, ratio in (
            ("ppo", "joint"),
            ("ppo_two_critics", "joint"),
            ("pd_max", "joint"),
            ("pd_min", "joint"),
            ("pd_sum", "joint"),
            ("pd_td", "joint"),
            ("pd_td", "per_component"),
        )
    ]
    first = [result["mlp_extractor.policy_net.0.weight"] for result in results]
    for i in range(len(first)):
        assert all(not torch.equal(first[i], first[j]) for j in range(i))


@pytest.mark.parametrize("advantage", ["ppo_two_critics", "pd_max", "pd_sum", "pd_td"])
def test_second_critic_learns(advantage):
    """On the transitions of one roll-out, again and again."""
    model = build(PDPPO, lot_sizing(), advantage=advantage, learning_rate=3e-3)
    recorder = Recorder()
    model.set_logger(Logger(None, [recorder]))
    model.learn(80)
    for _ in range(60):
        model.train()
        model.logger.dump()
    losses = [line["train/post_value_loss"] for line in recorder.lines[1:]]
    assert losses[-1] < 0.3 * losses[0]


def test_second_critic_is_drawn_apart():
    """It leaves the random stream as SB3's policy does, and is itself given by the seed."""
    a, b, c = (build(PDPPO, lot_sizing(), seed=seed) for seed in (3, 3, 4))
    theirs = build(stable_baselines3.PPO, lot_sizing())
    assert equal_parameters(a, theirs, parameters(theirs))
    after = torch.get_rng_state()
    build(PDPPO, lot_sizing())
    assert torch.equal(torch.get_rng_state(), after)
    weight = "post_value_net.0.weight"
    assert torch.equal(parameters(a)[weight], parameters(b)[weight])
    assert not torch.equal(parameters(a)[weight], parameters(c)[weight])


def test_gradient_of_second_critic_does_not_shrink_the_others_step():
    """A hopeless second critic: the actor's parameters after one update stay as they were."""

    def first_update(error):
        model = build(
            PDPPO, lot_sizing(), n_epochs=1, batch_size=80, lambda_decision=1.0, lambda_outcome=1.0
        )
        with torch.no_grad():
            model.policy.post_value_net[-1].bias += error
        return parameters(model.learn(80))

    plain, wrong = first_update(0.0), first_update(1000.0)
    actor = [name for name in plain if "policy_net" in name or "action_net" in name]
    assert actor
    for name in actor:
        torch.testing.assert_close(plain[name], wrong[name], rtol=1e-3, atol=1e-5)


@MODES
def test_same_seed_same_model(advantage):
    a, b, c = (
        build(PDPPO, lot_sizing(), seed=seed, advantage=advantage).learn(160) for seed in (5, 5, 6)
    )
    assert equal_parameters(a, b)
    assert not equal_parameters(a, c)


def test_dict_observations_with_half_steps():
    """A wrapped TSP whose decision and outcome are told apart artificially."""
    model = build(
        PDPPO, DummyVecEnv([HalfStepTSP for _ in range(4)]), "MultiInputPolicy", advantage="pd_td"
    )
    before = parameters(model)
    model.learn(160)
    assert not any(torch.equal(p, before[n]) for n, p in model.policy.named_parameters())


class HalfStepTSP(gym.Wrapper):
    def __init__(self, share=0.5):
        super().__init__(gym.make(TSP, num_cities=5))
        self.share = share

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        info["post_decision_obs"] = observation
        info["post_decision_reward"] = self.share * reward
        info["exogenous_reward"] = 0.5 * reward
        return observation, reward, terminated, truncated, info


# ---- what the buffer holds ------------------------------------------------------------------


def filled_buffer(advantage, **settings):
    model = build(PDPPO, lot_sizing(), advantage=advantage, **settings)
    model.learn(80)
    return model, model.rollout_buffer


@pytest.mark.parametrize("advantage", ["pd_max", "pd_min", "pd_sum"])
def test_time_limit_bootstrap_goes_to_the_outcome_only(advantage):
    def collected(advantage):
        model = build(PDPPO, lot_sizing(), advantage=advantage)
        model.train = lambda: None
        model.learn(80)
        return model.rollout_buffer

    bootstrapped, published = collected("pd_td"), collected(advantage)
    np.testing.assert_array_equal(bootstrapped.actions, published.actions)
    np.testing.assert_array_equal(bootstrapped.post_rewards, published.post_rewards)
    np.testing.assert_allclose(
        published.post_rewards + published.exogenous_rewards, published.rewards, rtol=1e-5
    )
    ends = np.zeros((20, 4), bool)
    ends[6::7] = True  # horizon 7
    different = bootstrapped.exogenous_rewards != published.exogenous_rewards
    np.testing.assert_array_equal(different, ends)


def test_log_probability_of_components():
    model, buffer = filled_buffer("pd_td", ratio="per_component")
    assert next(buffer.get()).old_log_prob.shape == (80, 5)
    joint, _ = filled_buffer("pd_td")
    assert next(joint.rollout_buffer.get()).old_log_prob.shape == (80, 1)
    obs = torch.as_tensor(observations(model))
    actions, _, log_probs = model.policy(obs)
    expected = torch.stack(
        [
            torch.log_softmax(logits, dim=1).gather(1, actions[:, [m]])[:, 0]
            for m, logits in enumerate(
                model.policy.action_net(model.policy.mlp_extractor.forward_actor(obs)).split(16, 1)
            )
        ],
        dim=1,
    )
    torch.testing.assert_close(log_probs, expected)


# ---- masks ----------------------------------------------------------------------------------


def test_predict_obeys_masks():
    model = build(PDPPO, lot_sizing())
    obs = observations(model)
    masks = np.zeros((50, 80), bool)
    only = np.random.default_rng(0).integers(0, 16, (50, 5))
    masks[np.arange(50)[:, None], only + 16 * np.arange(5)] = True
    for deterministic in (True, False):
        actions, _ = model.predict(obs, deterministic=deterministic, action_masks=masks)
        np.testing.assert_array_equal(actions, only)
    one, _ = model.predict(obs[0], deterministic=True, action_masks=masks[0])
    np.testing.assert_array_equal(one, only[0])
    free, _ = model.predict(obs, deterministic=True)
    assert (free != only).any()


def test_training_plays_legal_actions_only():
    env = make_sb3_vec_env(TSP, 4, 0, num_cities=6, invalid_action="raise")
    build(PDPPO, env, "MultiInputPolicy", advantage="ppo").learn(160)
    unmasked = make_sb3_vec_env(TSP, 4, 0, num_cities=6, invalid_action="raise")
    model = build(PDPPO, unmasked, "MultiInputPolicy", advantage="ppo", mask=False)
    with pytest.raises(gym.error.InvalidAction):
        model.learn(160)


def test_mask_needs_masks():
    env = DummyVecEnv([lambda: gym.make("CartPole-v1")])
    build(PDPPO, env, advantage="ppo").learn(40)
    with pytest.raises(ValueError, match="action_masks"):
        build(PDPPO, env, advantage="ppo", mask=True).learn(40)


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("advantage", ["pd_max", "pd_td"])
def test_deterministic_problems_have_no_half_steps(advantage):
    env = make_sb3_vec_env(TSP, 2, 0, num_cities=5)
    model = build(PDPPO, env, "MultiInputPolicy", advantage=advantage)
    with pytest.raises(ValueError, match=r"post_decision_obs.*advantage='ppo'"):
        model.learn(40)


def test_parts_that_do_not_add_up():
    env = DummyVecEnv([lambda: HalfStepTSP(share=0.6)])
    with pytest.raises(ValueError, match="do not add up"):
        build(PDPPO, env, "MultiInputPolicy").learn(40)


def test_vec_normalize_is_refused():
    with pytest.raises(ValueError, match="VecNormalize"):
        build(PDPPO, VecNormalize(lot_sizing())).learn(80)
    build(PDPPO, VecNormalize(lot_sizing()), advantage="ppo").learn(80)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("advantage", "pd_mean"),
        ("ratio", "product"),
        ("lambda_decision", 1.1),
        ("lambda_outcome", -0.1),
        ("reuse_rollouts", 0),
        ("critic_learning_rate", 0.0),
    ],
)
def test_bad_settings(setting, value):
    with pytest.raises(ValueError, match=setting):
        build(PDPPO, lot_sizing(), **{setting: value})
