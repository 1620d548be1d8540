"""PMOE: K = 1 is SAC or PPO, hand-computed losses and densities, spaces, usage."""

import math

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import stable_baselines3
import torch
from sb3_contrib.common.maskable.distributions import MaskableMultiCategoricalDistribution
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.vec_env import DummyVecEnv
from torch.nn import functional as F

from agents.pmoe.mixture import MixtureDistribution, choose, frequency_loss, pick
from agents.pmoe.pmoe_ppo import PMOEPPO
from agents.pmoe.pmoe_sac import PMOESAC
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.continuous_helpers import pendulum, small_sac
from tests.agents.helpers import (
    TSP,
    build,
    equal_parameters,
    lot_sizing,
    observations,
    parameters,
)

ONE = {"net_arch": [16, 16], "n_components": 1}
THREE = {"net_arch": [16, 16], "n_components": 3, "component_init_std": 1.0}


class Chooser(gym.Env):
    """Two steps of any actions; the reward is the first entry of the action."""

    def __init__(self, action_space):
        self.observation_space = gym.spaces.Box(-1, 1, (2,))
        self.action_space = action_space

    def reset(self, seed=None, options=None):
        self._left = 2
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self._left -= 1
        reward = float(np.ravel(action)[0])
        return np.full(2, 0.5, np.float32), reward, self._left == 0, False, {}


def gaussians(weights, means, std):
    """A mixture in one state, of one-dimensional Gaussians."""
    mixture = MixtureDistribution(DiagGaussianDistribution(1), len(weights))
    rows = torch.tensor(means, dtype=torch.float64)[:, None]
    log_weights = torch.tensor([weights], dtype=torch.float64).log()
    log_stds = torch.full_like(rows, math.log(std))
    return mixture.proba_distribution(rows, log_stds, log_weights=log_weights)


# ---- hand cases (C1) ------------------------------------------------------------------------


def test_frequency_loss_by_hand():
    logits = torch.tensor([[0.3, 0.7]]).log().requires_grad_()
    loss = frequency_loss(torch.log_softmax(logits, 1), torch.tensor([0]))
    assert loss.item() == pytest.approx(0.49)
    loss.backward()
    assert logits.grad.tolist()[0] == pytest.approx([-0.294, 0.294], abs=1e-6)


def test_router_learns_how_often_each_wins():
    rng = torch.Generator().manual_seed(0)
    shares = torch.tensor([0.2, 0.5, 0.3])
    logits = torch.zeros(1, 3, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=1.0)
    for _ in range(250):
        winner = torch.multinomial(shares, 64, replacement=True, generator=rng)
        optimizer.zero_grad()
        frequency_loss(torch.log_softmax(logits.expand(64, -1), 1), winner).backward()
        optimizer.step()
    torch.testing.assert_close(F.softmax(logits[0].detach(), 0), shares, atol=0.03, rtol=0)


def test_densities_by_hand():
    mixture = gaussians([0.3, 0.7], [-1.0, 1.0], 0.5)
    log_pi = mixture.log_prob(torch.tensor([[0.0]])).item()
    assert log_pi == pytest.approx(-2.2258, abs=5e-5)
    log_pi = mixture.log_prob(torch.tensor([[1.0]])).item()
    assert log_pi == pytest.approx(-0.5823, abs=1e-4)
    alone = mixture.components.log_prob(torch.ones(2, 1))[1].item()
    assert alone == pytest.approx(-0.2258, abs=5e-5)
    assert alone - log_pi == pytest.approx(-math.log(0.7), abs=1e-3)
    assert mixture.mode().tolist() == [[1.0]]
    # H >= sum_k w_k H_k, less by what the choice of k says: about H(w) where modes lie apart.
    torch.manual_seed(0)
    many = gaussians([0.3, 0.7], [-9.0, 9.0], 0.5)
    draws = torch.stack([many.sample() for _ in range(1500)])[:, 0]
    entropy = -np.mean([many.log_prob(draw[None]).item() for draw in draws[:400]])
    weights = -0.3 * math.log(0.3) - 0.7 * math.log(0.7)
    assert entropy == pytest.approx(many.entropy().item() + weights, abs=0.1)
    assert (draws > 0).double().mean() == pytest.approx(0.7, abs=0.03)


def test_two_far_modes_are_worth_log_2_more_entropy():
    """Of soft values: alpha log 2 for the mixture's density, nothing for the component's."""
    torch.manual_seed(0)
    model = small_sac(policy_kwargs={"net_arch": [4], "n_components": 2})
    with torch.no_grad():
        model.actor.mu.weight.zero_()
        model.actor.mu.bias.copy_(torch.tensor([-1.0, 1.0]))
        model.actor.log_std.weight.zero_()
        model.actor.log_std.bias.fill_(-4.0)
        for parameter in model.actor.router.parameters():
            parameter.zero_()
    obs = torch.zeros(2000, 3)
    entropies = []
    for of_mixture in (False, True):
        torch.manual_seed(1)
        samples = model.actor.sample_components(obs, of_mixture)
        entropies.append(-samples.log_probs.mean().item())
    assert entropies[1] - entropies[0] == pytest.approx(math.log(2), abs=1e-4)


def test_mixture_density_is_that_of_the_distribution():
    """Where inverting tanh loses no digits."""
    model = small_sac(policy_kwargs=THREE)
    samples = model.actor.sample_components(torch.as_tensor(observations(model)), of_mixture=True)
    for k in range(3):
        expected = model.actor.mixture.log_prob(samples.actions[:, k])
        near = samples.actions[:, k].abs().amax(1) < 0.99
        torch.testing.assert_close(samples.log_probs[near, k], expected[near], atol=1e-3, rtol=1e-3)


def test_densities_are_finite_far_away():
    mixture = MixtureDistribution(DiagGaussianDistribution(64), 3)
    means = torch.zeros(3, 64, requires_grad=True)
    log_weights = torch.full((1, 3), -math.log(3))
    mixture.proba_distribution(means, torch.zeros(3, 64), log_weights=log_weights)
    far = mixture.log_prob(torch.full((1, 64), 50.0))
    far.sum().backward()
    assert torch.isfinite(far).all()
    assert torch.isfinite(means.grad).all()


def test_products_of_categoricals_correlate():
    """Order from A or from B, not both: no product of categoricals can say it."""
    mixture = MixtureDistribution(MaskableMultiCategoricalDistribution([2, 2]), 2)
    sure = torch.tensor([[-20.0, 20.0, 20.0, -20.0], [20.0, -20.0, -20.0, 20.0]])
    mixture.proba_distribution(sure, log_weights=torch.full((1, 2), -math.log(2)))
    actions = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0]])
    probabilities = [mixture.log_prob(action[None]).exp().item() for action in actions]
    assert probabilities == pytest.approx([0.5, 0.5, 0.0, 0.0], abs=1e-6)
    torch.manual_seed(0)
    assert {tuple(mixture.sample()[0].tolist()) for _ in range(40)} == {(1, 0), (0, 1)}
    mixture.apply_masking(torch.tensor([[True, False, True, True]]))
    assert {tuple(mixture.sample()[0].tolist()) for _ in range(40)} == {(0, 0), (0, 1)}
    torch.testing.assert_close(mixture.log_weights.exp(), torch.full((1, 2), 0.5))


def test_choose_and_pick():
    log_weights = torch.tensor([[0.0, -50.0], [-50.0, 0.0]])
    chosen = choose(log_weights)
    assert chosen.tolist() == [0, 1]
    values = torch.arange(12.0).view(2, 2, 3)
    assert pick(values, chosen).tolist() == [[0, 1, 2], [9, 10, 11]]


# ---- one component --------------------------------------------------------------------------


def test_one_component_is_sac():
    """120 updates, parameters and temperature bit by bit."""
    theirs = small_sac(stable_baselines3.SAC).learn(140)
    for settings in ({}, {"primitive_update": "all"}):
        ours = small_sac(policy_kwargs=ONE, **settings).learn(140)
        assert ours._n_updates == theirs._n_updates >= 50
        assert equal_parameters(ours, theirs, parameters(theirs))
        assert torch.equal(ours.log_ent_coef, theirs.log_ent_coef)


def test_one_component_is_ppo():
    """Gaussians to rounding; on masked MultiDiscrete actions bit by bit MaskablePPO."""
    theirs = build(stable_baselines3.PPO, pendulum(4)).learn(400)
    ours = build(PMOEPPO, pendulum(4), policy_kwargs=ONE).learn(400)
    expected, actual = parameters(theirs), parameters(ours)
    for name, parameter in expected.items():
        torch.testing.assert_close(
            actual[name].view_as(parameter), parameter, atol=1e-6, rtol=0, msg=name
        )
    theirs = build(sb3_contrib.MaskablePPO, lot_sizing()).learn(400)
    ours = build(PMOEPPO, lot_sizing(), policy_kwargs=ONE).learn(400)
    assert equal_parameters(ours, theirs, parameters(theirs))


# ---- several components ---------------------------------------------------------------------


@pytest.mark.parametrize("primitive_update", ["best", "all"])
@pytest.mark.parametrize("entropy_mode", ["component", "mixture"])
def test_every_component_of_sac_learns(primitive_update, entropy_mode):
    model = small_sac(
        primitive_update=primitive_update, entropy_mode=entropy_mode, policy_kwargs=THREE
    )
    before = parameters(model)
    model.learn(70)
    after = parameters(model)
    for name in before:
        assert not torch.equal(before[name], after[name]), name
    logged = model.logger.name_to_value
    assert sum(logged[f"usage/weight_{k}"] for k in range(3)) == pytest.approx(1, abs=1e-5)
    assert sum(logged[f"usage/wins_{k}"] for k in range(3)) == pytest.approx(1, abs=1e-5)
    assert 0 <= logged["usage/entropy"] <= math.log(3) + 1e-6


def test_only_the_best_component_learns():
    model = small_sac(policy_kwargs=THREE, learning_starts=60)
    model.learn(60)
    model.actor.optimizer.step = lambda: None
    for primitive_update, learning in (("best", 1), ("all", 3)):
        model.primitive_update = primitive_update
        model.train(gradient_steps=1, batch_size=1)
        gradients = model.actor.mu.bias.grad.view(3, -1)
        assert int((gradients != 0).any(1).sum()) == learning


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-2, 2, (1,)),
        gym.spaces.Box(-1, 1, (3, 2)),
        gym.spaces.MultiDiscrete([2, 4]),
        gym.spaces.MultiBinary(3),
    ],
    ids=str,
)
def test_ppo_of_every_space(space):
    env = DummyVecEnv([lambda: Chooser(space) for _ in range(2)])
    model = build(PMOEPPO, env, policy_kwargs=THREE, n_steps=30, batch_size=20)
    before = parameters(model)
    model.learn(60)
    after = parameters(model)
    assert not any(torch.equal(before[name], after[name]) for name in before)
    action, _ = model.predict(np.zeros((5, 2), np.float32), deterministic=True)
    assert action.shape == (5, *space.shape)
    assert all(space.contains(one.astype(space.dtype)) for one in action)
    assert "usage/entropy" in model.logger.name_to_value


def test_ppo_learns_which_component_is_the_best():
    env = DummyVecEnv([lambda: Chooser(gym.spaces.Box(-3, 3, (1,))) for _ in range(4)])
    model = build(PMOEPPO, env, n_steps=64, batch_size=64, learning_rate=1e-2, policy_kwargs=THREE)
    with torch.no_grad():
        model.policy.action_net.bias.copy_(torch.tensor([-2.0, 2.0, -2.0]))
        model.policy.log_std.fill_(-2.0)
    model.learn(64 * 4 * 8)
    weights = model.logger.name_to_value["usage/weight_1"]
    assert weights > 0.6
    assert model.predict(np.zeros(2, np.float32), deterministic=True)[0] > 1


def test_masks_hold_for_every_component():
    env = make_sb3_vec_env("or_envs/LotSizing-v0", 2, 0, instance="15x5", invalid_action="raise")
    model = build(PMOEPPO, env, policy_kwargs=THREE).learn(80)
    masks = np.zeros((50, 80), bool)
    only = np.random.default_rng(0).integers(0, 16, (50, 5))
    masks[np.arange(50)[:, None], only + 16 * np.arange(5)] = True
    for deterministic in (True, False):
        actions, _ = model.predict(
            observations(model), deterministic=deterministic, action_masks=masks
        )
        np.testing.assert_array_equal(actions, only)


def test_spread_of_the_initial_components():
    means = {}
    for std in (0.0, 1.0):
        policy_kwargs = {"n_components": 50, "component_init_std": std}
        means[std] = small_sac(policy_kwargs=policy_kwargs).actor.mu.bias.detach()
    assert means[0.0].std() < 0.1
    assert (means[1.0] - means[0.0]).std() == pytest.approx(1, abs=0.3)


# ---- errors ---------------------------------------------------------------------------------


def test_discrete_actions_are_refused_with_the_reason():
    env = make_sb3_vec_env(TSP, 2, 0, num_cities=5)
    with pytest.raises(ValueError, match="mixture of categorical distributions is itself"):
        build(PMOEPPO, env, "MultiInputPolicy")
    with pytest.raises(AssertionError, match="Discrete"):
        PMOESAC("MlpPolicy", "CartPole-v1")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"primitive_update": "worst"}, "primitive_update: expected one of best, all"),
        ({"entropy_mode": "none"}, "entropy_mode: expected one of component, mixture"),
        ({"freq_coef": -1.0}, "freq_coef: expected a number >= 0, got -1.0"),
        ({"policy_kwargs": {"n_components": 0}}, "n_components: expected an integer >= 1, got 0"),
        ({"policy_kwargs": {"component_init_std": -1}}, "component_init_std: .* >= 0, got -1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        small_sac(**settings)
    if "policy_kwargs" in settings or "freq_coef" in settings:
        with pytest.raises(ValueError, match=message):
            build(PMOEPPO, pendulum(2), **settings)
