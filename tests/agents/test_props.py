"""PROPS: equality with PPO, hand-computed adaptation, the ring, the divergences, spaces."""

import math

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import stable_baselines3
import torch
from sb3_contrib.common.maskable.distributions import MaskableMultiCategoricalDistribution
from stable_baselines3.common.distributions import (
    BernoulliDistribution,
    CategoricalDistribution,
    DiagGaussianDistribution,
)
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents.props.divergence import SamplingErrorLogger, exact_kl, sampling_error
from agents.props.props import PROPS, BehaviorUpdate
from agents.props.ring import Step, StepRing
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.continuous_helpers import pendulum
from tests.agents.helpers import TSP, build, lot_sizing, observations, parameters
from tests.agents.test_pmoe import Chooser


class OneState(gym.Env):
    """A bandit: one state, one step."""

    observation_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, arms=2):
        self.action_space = gym.spaces.Discrete(arms)

    def reset(self, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, True, False, {}


def bandit(actions, arms=2, **settings):
    """A softmax policy with logits 0, whose ring holds these actions; one environment."""
    env = DummyVecEnv([lambda: OneState(arms)])
    settings = {"policy_kwargs": {"net_arch": []}, "kl_coef": 0.0, "n_steps": 1000, **settings}
    model = build(PROPS, env, **settings)
    with torch.no_grad():
        model.policy.action_net.weight.zero_()
    model.behavior_policy.load_state_dict(model.policy.state_dict())
    model.learn(0)  # gives it a logger
    zero, no = np.zeros((1, 1), np.float32), np.zeros(1, bool)
    for action in actions:
        model.ring.add(Step(zero, np.array([[action]]), np.zeros(1), no, no, zero, None))
    return model


def probabilities(policy):
    return policy.get_distribution(torch.zeros(1, 1)).distribution.probs[0].tolist()


def gradient_step(model, learning_rate):
    """One plain step on the whole ring."""
    model.behavior_policy.optimizer = torch.optim.SGD(
        model.behavior_policy.parameters(), lr=learning_rate
    )
    model._adapt(BehaviorUpdate(1, 1, None, 0.3, None, 0.0), 1)


# ---- hand cases (C3) ------------------------------------------------------------------------


def test_one_gradient_step_by_hand():
    model = bandit([0, 0, 0, 1])
    gradient_step(model, 1.0)
    # p_hat - pi
    gradient = model.behavior_policy.action_net.bias.grad.tolist()
    assert gradient == pytest.approx([0.25, -0.25], abs=1e-6)
    assert probabilities(model.behavior_policy)[1] == pytest.approx(0.6225, abs=5e-5)
    assert probabilities(model.policy) == [0.5, 0.5]


def test_on_policy_data_have_no_gradient():
    model = bandit([0, 1, 1, 0])
    gradient_step(model, 1.0)
    assert probabilities(model.behavior_policy)[1] == pytest.approx(0.5, abs=1e-7)


def test_equilibrium_of_clipping():
    """Without KL and for many steps: g = 1 - eps."""
    model = bandit([0, 0, 0, 1], behavior_learning_rate=2e-3)
    model._adapt(BehaviorUpdate(1, 1000, None, 0.3, None, 0.0), 1)
    phi = probabilities(model.behavior_policy)
    assert phi[0] == pytest.approx(0.35, abs=2e-3)
    found = model.behavior_policy.get_distribution(torch.zeros(1, 1))
    target = model.policy.get_distribution(torch.zeros(1, 1))
    assert exact_kl(found, target).item() == pytest.approx(0.046, abs=1e-3)
    g = np.array([0.7, 0.7, 0.7, 1.3])
    assert (g - 1 - np.log(g)).mean() == pytest.approx(0.052, abs=5e-4)


def test_target_kl_stops_before_the_step():
    model = bandit([0, 0, 0, 1], behavior_learning_rate=1e-3)
    model._adapt(BehaviorUpdate(1, 1000, None, 0.3, 0.03, 0.0), 1)
    phi = probabilities(model.behavior_policy)
    g = np.array(phi)[[0, 0, 0, 1]] / 0.5
    assert (g - 1 - np.log(g)).mean() == pytest.approx(0.03, abs=5e-4)
    assert phi[1] == pytest.approx(0.616, abs=2e-3)


def test_phi_starts_from_theta_every_time():
    model = bandit([0, 0, 0, 1])
    for _ in range(3):
        gradient_step(model, 1.0)
        assert probabilities(model.behavior_policy)[1] == pytest.approx(0.6225, abs=5e-5)


def test_moments_are_forgotten_or_kept():
    steps = {}
    for reset in (True, False):
        model = bandit([0, 0, 0, 1], reset_behavior_optimizer=reset, behavior_learning_rate=0.01)
        for _ in range(2):
            model._adapt(BehaviorUpdate(1, 1, None, 0.3, None, 0.0), 1)
        moments = model.behavior_policy.optimizer.state_dict()["state"]
        steps[reset] = {int(moment["step"]) for moment in moments.values()}
    assert steps == {True: {1}, False: {2}}


def test_what_is_evicted_next_does_not_count():
    """Four of six steps stay when two come."""
    model = bandit([0, 0, 1, 1, 0, 1], n_steps=6, buffer_batches=1, batch_size=6)
    assert len(model.ring) == 6
    model.behavior_policy.optimizer = torch.optim.SGD(model.behavior_policy.parameters(), lr=1.0)
    model._adapt(BehaviorUpdate(2, 1, None, 0.3, None, 0.0), 1)
    # p_hat of 1, 1, 0, 1 is (1/4, 3/4).
    gradient = model.behavior_policy.action_net.bias.grad.tolist()
    assert gradient == pytest.approx([-0.25, 0.25], abs=1e-6)


# ---- divergences ----------------------------------------------------------------------------


def test_kl_of_gaussians_in_both_directions():
    for entries in (1, 3):
        phi = DiagGaussianDistribution(entries).proba_distribution(
            torch.full((2, entries), 0.1), torch.full((entries,), math.log(0.9))
        )
        theta = DiagGaussianDistribution(entries).proba_distribution(
            torch.zeros(2, entries), torch.zeros(entries)
        )
        assert exact_kl(phi, theta).tolist() == pytest.approx([0.01536 * entries] * 2, rel=1e-3)
        assert exact_kl(theta, phi).tolist() == pytest.approx([0.01810 * entries] * 2, rel=1e-3)


def test_kl_of_categories():
    uniform = CategoricalDistribution(2).proba_distribution(torch.zeros(1, 2))
    counted = CategoricalDistribution(2).proba_distribution(torch.tensor([[3.0, 1.0]]).log())
    assert exact_kl(counted, uniform).item() == pytest.approx(0.1308, abs=5e-5)
    binary = [BernoulliDistribution(2).proba_distribution(x) for x in torch.randn(2, 4, 2)]
    assert exact_kl(*binary).shape == (4,)


def test_kl_leaves_masked_actions_out():
    logits = torch.randn(2, 1, 5, requires_grad=True)
    masks = torch.tensor([[True, True, False, False, True]])
    masked = [MaskableMultiCategoricalDistribution([3, 2]).proba_distribution(x) for x in logits]
    for distribution in masked:
        distribution.apply_masking(masks)
    divergence = exact_kl(*masked)
    p, q = (torch.softmax(x[0, :2], 0) for x in logits)
    assert divergence.item() == pytest.approx((p * (p / q).log()).sum().item(), rel=1e-5)
    divergence.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_sampling_error_of_a_softmax_policy():
    """KL(p_hat || pi), the exact fit."""
    model = bandit([0, 0, 0, 1])
    assert model.sampling_error() == pytest.approx(0.1308, abs=5e-4)
    assert bandit([0, 1]).sampling_error() == pytest.approx(0.0, abs=1e-6)


def test_sampling_error_of_on_policy_data():
    """About p / 2N of Gaussian actions with p free parameters, here 16 + 16 + 17 + 1."""
    model = build(PROPS, pendulum(1))
    torch.manual_seed(0)
    obs = torch.as_tensor(observations(model, 2000))
    with torch.no_grad():
        actions = model.policy.get_distribution(obs).sample()
    weights = parameters(model)
    error = sampling_error(model.policy, obs, actions)
    assert 0.2 < error / (50 / 4000) < 1.5
    for name, weight in parameters(model).items():
        assert torch.equal(weight, weights[name])


# ---- equality with PPO ----------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_on_policy_with_one_batch_is_ppo(masked):
    theirs_class = sb3_contrib.MaskablePPO if masked else stable_baselines3.PPO

    def env():
        return lot_sizing(allow_invalid=not masked)

    theirs = build(theirs_class, env()).learn(400)
    ours = build(PROPS, env(), sampling="on_policy", buffer_batches=1).learn(400)
    assert ours.behavior_policy is ours.policy
    expected, actual = parameters(theirs), parameters(ours)
    for name, parameter in expected.items():
        torch.testing.assert_close(actual[name], parameter, atol=1e-6, rtol=0, msg=name)


def test_on_policy_with_one_batch_is_ppo_on_continuous_actions():
    theirs = build(stable_baselines3.PPO, pendulum(4)).learn(400)
    ours = build(PROPS, pendulum(4), sampling="on_policy", buffer_batches=1).learn(400)
    expected, actual = parameters(theirs), parameters(ours)
    for name, parameter in expected.items():
        torch.testing.assert_close(actual[name], parameter, atol=1e-6, rtol=0, msg=name)


# ---- the ring and the buffer ----------------------------------------------------------------


def test_ring_keeps_the_newest_in_order():
    rng = np.random.default_rng(0)
    for _ in range(20):
        capacity, total = rng.integers(1, 9), rng.integers(1, 30)
        ring, everything = StepRing(int(capacity)), []
        for t in range(total):
            one = np.full((2, 3), t, np.float32)
            flags = np.array([t % 2 == 0, False])
            ring.add(Step({"a": one}, one[:, :1], one[:, 0], flags, flags, {"a": one}, None))
            everything.append(t)
        assert ring.stacked().reward[:, 0].tolist() == everything[-capacity:]
        other = StepRing(int(capacity))
        other.restore(ring.arrays())
        assert len(other) == len(ring)
        for ours, theirs in zip(ring.steps, other.steps, strict=True):
            np.testing.assert_array_equal(ours.observation["a"], theirs.observation["a"])
            np.testing.assert_array_equal(ours.truncated, theirs.truncated)
            assert theirs.action_masks is None
    other.restore({})
    assert len(other) == 0


def test_buffer_is_the_newest_rollouts_valued_anew():
    model = build(PROPS, lot_sizing(), buffer_batches=2, sampling="props", behavior_n_steps=20)
    model.learn(3 * 80)
    buffer = model.rollout_buffer
    assert buffer.buffer_size == 40
    assert len(model.ring) == 40
    steps = model.ring.stacked()
    # Horizon 7, 60 steps played: the newest 40 of them began at step 20.
    starts = np.zeros((40, 4))
    starts[(np.arange(20, 60) % 7) == 0] = 1
    np.testing.assert_array_equal(steps.episode_start, starts)
    np.testing.assert_array_equal(steps.truncated[:-1], starts[1:])
    # What theta plays is one policy for the whole ring.
    actions = torch.as_tensor(steps.action[:5].reshape(20, -1))
    obs = torch.as_tensor(steps.observation[:5].reshape(20, -1))
    assert len(model.policy.evaluate_actions(obs, actions)[1]) == 20


def test_the_ring_starts_anew_with_the_environments():
    model = build(PROPS, lot_sizing(), behavior_n_steps=40).learn(80)
    assert len(model.learn(80, reset_num_timesteps=False).ring) == 40
    assert len(model.learn(80).ring) == 20


def test_advantages_are_those_of_theta_over_the_whole_ring():
    model = build(PROPS, lot_sizing(), buffer_batches=2, behavior_n_steps=40, gamma=0.9)
    model.train = lambda: None
    model.learn(2 * 80)
    buffer, steps = model.rollout_buffer, model.ring.stacked()
    obs, actions, masks = model._pairs(steps)
    with torch.no_grad():
        values, log_probs, _ = model.policy.evaluate_actions(obs, actions, masks)
        ends = model.policy.predict_values(torch.as_tensor(steps.terminal_observation[6]))
        last = model.policy.predict_values(torch.as_tensor(model._last_obs))[:, 0].numpy()
    values = values.view(40, 4).numpy()
    np.testing.assert_allclose(buffer.log_probs, log_probs.view(40, 4), atol=1e-6)
    np.testing.assert_allclose(
        buffer.rewards[6], steps.reward[6] + 0.9 * ends[:, 0].numpy(), rtol=1e-5
    )
    advantage = np.zeros(4)
    following = last
    for t in reversed(range(40)):
        going_on = 0.0 if steps.truncated[t].all() else 1.0
        delta = buffer.rewards[t] + 0.9 * going_on * following - values[t]
        advantage = delta + 0.9 * 0.95 * going_on * advantage
        np.testing.assert_allclose(buffer.advantages[t], advantage, atol=1e-4)
        following = values[t]


def test_vec_normalize_sees_raw_transitions():
    env = VecNormalize(lot_sizing())
    model = build(PROPS, env, behavior_n_steps=40).learn(160)
    steps = model.ring.stacked()
    plain = lot_sizing()
    plain.seed(3)
    first = plain.reset()
    np.testing.assert_array_equal(steps.observation[0], first)
    assert (steps.reward <= 0).all()
    assert abs(model.rollout_buffer.observations.mean()) < 0.5
    ends = steps.terminal_observation[6]
    assert np.isfinite(ends).all()
    assert (ends >= -1e-3).all()
    assert (ends <= 1 + 1e-3).all()


# ---- learning -------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["props", "ros"])
@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-2, 2, (3, 2)),
        gym.spaces.Discrete(3),
        gym.spaces.MultiDiscrete([2, 4]),
        gym.spaces.MultiBinary(3),
    ],
    ids=str,
)
def test_every_space(space, sampling):
    env = DummyVecEnv([lambda: Chooser(space) for _ in range(2)])
    for direction in ("target_behavior", "behavior_target"):
        model = build(
            PROPS, env, sampling=sampling, kl_direction=direction, behavior_n_steps=10
        ).learn(80)
    action, _ = model.predict(np.zeros((5, 2), np.float32), deterministic=True)
    assert action.shape == (5, *space.shape)
    assert not torch.equal(
        parameters(model)["action_net.weight"], model.behavior_policy.action_net.weight
    )


@pytest.mark.parametrize("sampling", ["props", "ros"])
def test_masked_actions_are_never_played(sampling):
    env = make_sb3_vec_env(TSP, 4, 0, num_cities=6, invalid_action="raise")
    build(PROPS, env, "MultiInputPolicy", sampling=sampling, behavior_n_steps=16).learn(160)


def test_theta_is_left_alone():
    """Neither its parameters nor its gradients change when phi adapts, and predict asks theta."""
    model = build(PROPS, lot_sizing(), behavior_n_steps=16, behavior_learning_rate=0.1)
    model.train = lambda: None
    before = parameters(model)
    model.learn(160)
    for name, parameter in model.policy.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None
    assert not torch.equal(before["action_net.weight"], model.behavior_policy.action_net.weight)
    obs = observations(model)
    distribution = model.policy.get_distribution(torch.as_tensor(obs))
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], distribution.mode().numpy()
    )


def test_sampling_error_falls():
    """Four arms, 256 pulls: E-PROPS-0 with fewer seeds (on-policy about 3 / 2n = 0.0059)."""
    errors = {}
    for sampling in ("on_policy", "props"):
        found = []
        for seed in range(3):
            env = DummyVecEnv([lambda: OneState(4)])
            model = build(
                PROPS,
                env,
                seed=seed,
                sampling=sampling,
                n_steps=256,
                buffer_batches=1,
                policy_kwargs={"net_arch": []},
                behavior_n_steps=16,
                behavior_learning_rate=1e-2,
                behavior_target_kl=0.03,
                behavior_batch_size=64,
                kl_coef=0.0,
            )
            model.train = lambda: None
            model.learn(256)
            found.append(model.sampling_error())
        errors[sampling] = np.mean(found)
    assert errors["props"] < 0.5 * errors["on_policy"]


def test_what_is_logged():
    logger = SamplingErrorLogger(every=2)
    model = build(PROPS, lot_sizing(), behavior_n_steps=40).learn(320, callback=logger)
    assert [steps for steps, _ in logger.found] == [160, 320]
    assert all(error > 0 for _, error in logger.found)
    model._adapt(model._behavior_update(4), 4)
    assert {"props/approx_kl", "props/clip_fraction", "props/n_minibatches"} <= set(
        model.logger.name_to_value
    )


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("sampling", "off_policy", "one of on_policy, props, ros"),
        ("kl_direction", "forward", "one of target_behavior, behavior_target"),
        ("buffer_batches", 0, "an integer >= 1"),
        ("behavior_n_steps", 0, "an integer >= 1"),
        ("behavior_epochs", 0, "an integer >= 1"),
        ("behavior_batch_size", 0, "an integer >= 1"),
        ("behavior_learning_rate", 0.0, "a number > 0"),
        ("behavior_target_kl", -0.1, "a number > 0"),
        ("behavior_max_grad_norm", 0.0, "a number > 0"),
        ("behavior_clip_range", 1.5, r"a number in \(0, 1\]"),
        ("kl_coef", -1.0, "a number >= 0"),
    ],
)
def test_bad_settings(setting, value, expected):
    with pytest.raises(ValueError, match=f"{setting}: expected {expected}, got {value!r}"):
        build(PROPS, lot_sizing(), **{setting: value})


@pytest.mark.parametrize("interval", [18, 32])
def test_intervals_that_do_not_fit(interval):
    model = build(PROPS, lot_sizing(), behavior_n_steps=interval)
    with pytest.raises(ValueError, match=r"behavior_n_steps: .*4 environments that divides the 80"):
        model.learn(80)


def test_bad_logger():
    with pytest.raises(ValueError, match="every: expected an integer >= 1, got 0"):
        SamplingErrorLogger(every=0)
