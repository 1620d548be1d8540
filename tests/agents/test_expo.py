"""EXPO: bases imitate, candidates are what the paper says, targets and entropies to the digit."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.expo.bases import DDPMBase, MixtureBase, Noise, make_base, variance_preserving
from agents.expo.expo import EXPO, adjusted_target_entropy, entropy_bound
from agents.expo.policies import pick
from tests.agents.helpers import equal_parameters, parameters
from tests.agents.offline_helpers import BASE_KWARGS, build, data_of_points

LINE = gym.spaces.Box(-1, 1, (1,))


class Line(gym.Env):
    """One observation, one action in [-1, 1]; C4's world."""

    observation_space = LINE
    action_space = LINE

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, False, True, {}


class TwoParabolas(torch.nn.Module):
    """Q1 = -(a - .5)^2 and Q2 = -(a - .1)^2, asked as the ensemble is."""

    n_critics = 2

    def forward(self, obs, actions, members=None):
        a = actions[..., 0]
        values = torch.stack([-((a - 0.5) ** 2), -((a - 0.1) ** 2)])
        return values if members is None else values[members]

    def draw(self, num):
        return torch.randperm(2)[:num]


def c4(base=(0.2, -0.4), edit=(1.0, -1.0), **settings):
    """An agent whose base, edit and critics are those of C4."""
    data = {
        "observations": np.zeros((4, 1), np.float32), "actions": np.zeros((4, 1)),
        "rewards": np.ones(4), "next_observations": np.zeros((4, 1), np.float32),
        "terminations": np.zeros(4, dtype=bool),
    }  # fmt: skip
    model = build(
        EXPO, Line(), n_candidates=2, n_edited=2, edit_scale=0.1, gamma=0.99, offline_dataset=data,
        offline_ratio=1.0, policy_kwargs={"net_arch": [8], "n_critics": 2}, **settings,
    )  # fmt: skip
    policy = model.policy
    for drawn in (policy.base, policy.base_target):
        drawn.sample = lambda obs, num, noise: torch.tensor(base)[None, :num, None].repeat(
            len(obs), 1, 1
        )
    policy.actor.forward = lambda obs, actions, deterministic=False: torch.tensor(edit)[
        None, :, None
    ].repeat(len(obs), 1, 1)
    policy.critic_target = model.critic_target = TwoParabolas()
    return model


# ---- C4 -------------------------------------------------------------------------------------


def test_candidates_and_their_scores():
    policy = c4().policy
    obs = torch.zeros(3, 1)
    candidates = policy.candidates(obs, policy.base)
    torch.testing.assert_close(candidates[1, :, 0], torch.tensor([0.2, -0.4, 0.3, -0.5]))
    values = policy.score(obs, candidates)
    torch.testing.assert_close(values[1], torch.tensor([-0.09, -0.81, -0.04, -1.0]))
    torch.testing.assert_close(pick(candidates, values.argmax(1)), torch.full((3, 1), 0.3))


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({}, 0.9604),
        ({"edit_mode": "none"}, 0.9109),
        ({"backup": "sarsa"}, 0.9109),
        ({"n_min_critics": 2, "backup": "otf"}, 0.9604),
    ],
)
def test_targets(settings, target):
    model = c4(**settings)
    targets = model._targets(model._sample(4))
    torch.testing.assert_close(targets, torch.full((4,), target))


def test_what_is_played_is_what_is_scored():
    model = c4()
    for deterministic in (True, False):
        action, _ = model.predict(np.zeros(1, np.float32), deterministic=deterministic)
        assert action[0] == pytest.approx(0.3)


def test_candidates_are_clipped_before_they_are_scored():
    policy = c4(base=(0.95, -0.97)).policy
    candidates = policy.candidates(torch.zeros(1, 1), policy.base)
    torch.testing.assert_close(candidates[0, :, 0], torch.tensor([0.95, -0.97, 1.0, -1.0]))
    for name, kwargs in BASE_KWARGS.items():
        model = build(EXPO, base=name, edit_scale=1.0, edit_mode="uniform", n_edited=3)
        assert kwargs == model.policy.base_kwargs
        drawn = model.policy.candidates(torch.randn(50, 3), model.policy.base)
        assert drawn.shape == (50, 6, 2)
        assert drawn.abs().max() <= 1


def test_candidate_filter():
    """It sees actions in the environment's units; where it forbids all, the base decides."""
    model = build(EXPO, n_candidates=4, n_edited=4, edit_mode="uniform")
    policy, obs = model.policy, torch.randn(40, 3)
    seen = []

    def small(observations, actions):
        seen.append(actions)
        return actions[..., 0] < 0.5

    policy.candidate_filter = small
    candidates = policy.candidates(obs, policy.base)
    values = policy.score(obs, candidates)
    torch.testing.assert_close(seen[0], 1 + 3 * candidates)  # the Box is [-2, 4]
    allowed = seen[0][..., 0] < 0.5
    some = allowed.any(dim=1)
    assert 0 < some.sum() < 40
    assert torch.equal(values[some].isfinite(), allowed[some])
    assert torch.equal(values[~some].argmax(1), torch.zeros(int((~some).sum()), dtype=torch.long))
    played = torch.as_tensor(model.predict(obs.numpy())[0])
    assert (played[:, 0] < 0.5).any()
    given = build(EXPO, candidate_filter=small)
    assert given.policy.candidate_filter is small


def test_entropy_bound_and_target():
    for beta, bound in ((0.05, -2.303), (0.1, -1.609), (0.2, -0.916)):
        assert entropy_bound(1, beta) == pytest.approx(bound, abs=5e-4)
        assert entropy_bound(4, beta) == pytest.approx(4 * bound, abs=2e-3)
        gap = adjusted_target_entropy(3, beta) - entropy_bound(3, beta)
        assert gap == pytest.approx(-3 * (0.5 + math.log(2)))
        assert gap == pytest.approx(-3 * 1.193, abs=1e-3)
    # Where the published target -d/2 can just be reached.
    assert math.exp(-0.5) / 2 == pytest.approx(0.3033, abs=5e-5)
    assert entropy_bound(1, math.exp(-0.5) / 2) == pytest.approx(-0.5)
    assert build(EXPO, edit_scale=0.2).target_entropy == pytest.approx(2 * (math.log(0.2) - 0.5))
    with pytest.warns(UserWarning, match="target_entropy: -1 cannot be reached"):
        build(EXPO, edit_scale=0.2, target_entropy=-1.0)


def edit_alone(updates=600, **settings):
    """C4's simulation: d = 4, a quadratic Q with its peak at an edit of .03, beta = .1.

    Returns the temperature after every update, the last entropies and the mean edit.
    """

    class Four(Line):
        observation_space = action_space = gym.spaces.Box(-1, 1, (4,))

        def reset(self, *, seed=None, options=None):
            return np.zeros(4, np.float32), {}

    data = {
        "observations": np.zeros((4, 4), np.float32), "actions": np.zeros((4, 4)),
        "rewards": np.ones(4), "next_observations": np.zeros((4, 4), np.float32),
        "terminations": np.zeros(4, dtype=bool),
    }  # fmt: skip
    model = build(
        EXPO, Four(), edit_scale=0.1, offline_dataset=data, offline_ratio=1.0, learning_rate=1e-2,
        batch_size=32, **settings,
    )  # fmt: skip
    model.critic.forward = lambda obs, a, members=None: -100 * ((a - 0.03) ** 2).sum(-1)[None]
    model._update_base = lambda batch: 0.0
    alphas, entropies = [], []
    for _ in range(updates):
        entropies.append(model._update_actor(model._sample(32))["entropy"])
        alphas.append(model._temperature().item())
    mean = 0.1 * model.actor(torch.zeros(1, 4), torch.zeros(1, 4), True).mean().item()
    return alphas, np.mean(entropies[-50:]), mean


def test_temperature_settles_with_the_adjusted_target():
    alphas, entropy, mean = edit_alone()
    assert alphas[-1] < 0.5
    assert entropy == pytest.approx(adjusted_target_entropy(4, 0.1), abs=1)
    assert 0.015 < mean < 0.04


def test_temperature_grows_for_ever_with_the_published_target():
    with pytest.warns(UserWarning, match="the temperature will grow for ever"):
        alphas, entropy, mean = edit_alone(target_entropy=-2.0)
    assert alphas[-1] > 2 * alphas[300] > 4
    assert entropy == pytest.approx(entropy_bound(4, 0.1), abs=0.5)
    assert abs(mean) < 0.01


def test_one_candidate_without_edit_is_policy_evaluation():
    """With N = 1 the on-the-fly policy is the base, and its backup is that of SARSA."""
    model = build(EXPO, n_candidates=1, n_edited=0, edit_mode="none", offline_ratio=1.0)
    batch = model._sample(16)
    targets = []
    for backup in ("otf", "sarsa"):
        model.backup = backup
        torch.manual_seed(0)
        actions, bonus = model._next_actions(batch.next_observations)
        targets.append(actions)
        assert bonus == 0.0
    torch.testing.assert_close(targets[0], targets[1])


def test_many_uniform_candidates_find_the_maximum():
    """The error of the best of N uniform candidates falls as 1 / N."""
    policy = c4(edit_mode="none").policy
    obs = torch.zeros(2000, 1)
    errors = {}
    for num in (10, 100):
        policy.base.sample = lambda obs, n, noise, num=num: 2 * torch.rand(len(obs), num, 1) - 1
        candidates = policy.candidates(obs, policy.base)
        best = pick(candidates, policy.score(obs, candidates, deterministic=True).argmax(1))
        errors[num] = (best - 0.3).abs().mean().item()  # the mean of both parabolas peaks at .3
    # Nearest of N points of density 1/2: 1 / N on average, a little less by the far edge.
    assert errors[10] == pytest.approx(0.1, rel=0.15)
    assert errors[100] == pytest.approx(0.01, rel=0.15)


# ---- C5 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit_mode", ["learned", "uniform"])
def test_more_candidates_are_never_worse(edit_mode):
    """By the same critics, from the same actions of the base."""
    model = build(EXPO, edit_mode=edit_mode, n_candidates=3, n_edited=3)
    policy, obs = model.policy, torch.randn(64, 3)
    candidates = policy.candidates(obs, policy.base)
    values = policy.score(obs, candidates, deterministic=True)
    best = values.amax(dim=1)
    assert (best[:, None] >= values).all()
    assert (best >= values[:, :3].amax(dim=1)).all()
    assert (best > values[:, :3].amax(dim=1)).any()
    chosen = pick(candidates, values.argmax(dim=1))
    torch.testing.assert_close(policy.score(obs, chosen[:, None], True)[:, 0], best)


def test_entropy_backup_by_hand():
    """Draws follow softmax(Q / temperature), and alpha times their entropy is added."""
    model = c4(entropy_backup=True, backup_temperature=0.1, ent_coef=0.5)
    law = torch.softmax(torch.tensor([-0.9, -8.1, -0.4, -10.0]), 0)
    entropy = -(law * law.log()).sum()
    torch.manual_seed(0)
    actions, bonus = model._next_actions(torch.zeros(4000, 1))
    torch.testing.assert_close(bonus, (0.5 * entropy).expand(4000))
    for action, share in zip((0.2, -0.4, 0.3, -0.5), law, strict=True):
        found = (actions[:, 0] - action).abs().lt(1e-4).float().mean().item()
        assert found == pytest.approx(share.item(), abs=0.03)
    batch = model._sample(4)
    torch.manual_seed(0)
    targets = model._targets(batch)
    known = [1 + 0.99 * (q + 0.5 * entropy.item()) for q in (-0.09, -0.81, -0.04, -1.0)]
    assert all(min(abs(t - k) for k in known) < 1e-4 for t in targets.tolist())


# ---- bases ----------------------------------------------------------------------------------


def test_variance_preserving_schedule():
    """The ten steps of the published code."""
    betas = variance_preserving(10)
    expected = [0.0578, 0.1466, 0.2270, 0.2999, 0.3659, 0.4256, 0.4798, 0.5288, 0.5732, 0.6135]
    torch.testing.assert_close(betas, torch.tensor(expected), atol=5e-5, rtol=0)
    assert (1 - betas).prod().item() == pytest.approx(0.00641, abs=5e-6)


def lone_base(name, options, dims=2):
    space = gym.spaces.Box(-1, 1, (dims,))
    return make_base(
        name, options, observation_space=LINE, action_space=space,
        features_extractor=torch.nn.Flatten(), features_dim=1,
    )  # fmt: skip


def imitate(base, observations, actions, steps, rate=3e-3):
    optimizer = torch.optim.Adam(base.parameters(), rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        rows = torch.randint(len(actions), (64,))
        loss = base.loss(observations[rows], actions[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


SIZES = {
    "ddpm": {"steps": 10, "width": 32, "blocks": 1},
    "flow": {"steps": 10, "width": 32, "blocks": 1},
    "gmm": {"components": 4, "net_arch": [32]},
    "gaussian": {"net_arch": [32]},
}


@pytest.mark.parametrize(("name", "options"), SIZES.items())
def test_one_repeated_action_is_returned(name, options):
    torch.manual_seed(0)
    base = lone_base(name, options)
    action = torch.tensor([0.3, -0.6])
    imitate(base, torch.zeros(64, 1), action.repeat(64, 1), 500)
    with torch.no_grad():
        drawn = base.sample(torch.zeros(200, 1), 1, Noise(torch.zeros(200, 1)))[:, 0]
    assert (drawn - action).abs().mean() < 0.05


@pytest.mark.parametrize("name", ["ddpm", "flow", "gmm"])
def test_two_modes_are_kept_apart(name):
    """Which a Gaussian cannot: at observation o the actions are o + .5 and o - .5."""
    torch.manual_seed(0)
    base = lone_base(name, SIZES[name], dims=1)
    observations = 0.3 * torch.rand(512, 1)
    sign = torch.randint(2, (512, 1)) * 2.0 - 1
    imitate(base, observations, observations + 0.5 * sign, 700)
    with torch.no_grad():
        here = torch.full((1, 1), 0.2)
        drawn = base.sample(here, 400, Noise(here))[0, :, 0]
    near = torch.stack([(drawn - mode).abs() < 0.25 for mode in (0.7, -0.3)]).float().mean(dim=1)
    assert near.sum() > 0.85
    assert near.min() > 0.3


def test_mixture_density():
    """Against torch's own mixture."""
    torch.manual_seed(0)
    base = lone_base("gmm", {"components": 3, "net_arch": [8]})
    assert isinstance(base, MixtureBase)
    features, actions = torch.randn(6, 1), torch.rand(6, 2)
    weights, mean, log_std = base.parameters_of(features)
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=weights),
        torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1),
    )
    torch.testing.assert_close(base.loss(features, actions), -law.log_prob(actions).mean())
    with torch.no_grad():
        drawn = base._sample(features[:1], 20_000, Noise(features[:1]))[0]
        torch.testing.assert_close(drawn.mean(dim=0), law.mean[0], atol=0.05, rtol=0)
        torch.testing.assert_close(drawn.var(dim=0), law.variance[0], atol=0.1, rtol=0.1)


def test_diffusion_loss_by_hand():
    """A network that predicts zero has the mean square of the noise as its loss: d."""
    torch.manual_seed(0)
    base = lone_base("ddpm", {"steps": 10, "width": 8, "blocks": 1}, dims=3)
    assert isinstance(base, DDPMBase)
    base._field = lambda features, actions, time: torch.zeros_like(actions)
    loss = base.loss(torch.zeros(20_000, 1), torch.zeros(20_000, 3))
    assert loss.item() == pytest.approx(3, abs=0.05)


# ---- imitation before learning --------------------------------------------------------------


def test_pretraining_leaves_critics_and_edit_alone():
    model = build(EXPO)
    model.learn(1)
    before = parameters(model)
    alpha = model._temperature().clone()
    model.pretrain(5)
    for name, parameter in model.policy.named_parameters():
        imitates = name.startswith(("base.", "base_target."))
        assert torch.equal(parameter, before[name]) != imitates, name
    assert torch.equal(alpha, model._temperature())
    for own, average in zip(
        model.policy.base.parameters(), model.policy.base_target.parameters(), strict=True
    ):
        assert torch.equal(own, average)


def test_pretraining_comes_once_and_is_no_time_step():
    imitates = build(EXPO, bc_pretrain_steps=5, gradient_steps=0).learn(12)
    plain = build(EXPO, gradient_steps=0)
    assert imitates.num_timesteps == 12
    assert not equal_parameters(imitates, plain)
    once = parameters(imitates)
    imitates.learn(12, reset_num_timesteps=False)
    assert all(torch.equal(value, once[name]) for name, value in parameters(imitates).items())
    with pytest.raises(ValueError, match=r"bc_pretrain_steps: .*offline_dataset"):
        build(EXPO, bc_pretrain_steps=5, offline_dataset=None).learn(12)


def test_the_average_follows_the_base():
    model = build(EXPO, ema_tau=0.25, learning_starts=0)
    model.learn(1)
    target = {n: p.clone() for n, p in model.policy.base_target.named_parameters()}
    model.train(1, 16)
    for name, own in model.policy.base.named_parameters():
        expected = 0.75 * target[name] + 0.25 * own
        torch.testing.assert_close(
            dict(model.policy.base_target.named_parameters())[name], expected
        )


def test_data_is_imitated_before_the_first_step():
    """The habits of the data, forces near 0 and near 2, are those that are played."""
    model = build(
        EXPO, n_candidates=1, n_edited=0, edit_mode="none", bc_pretrain_steps=400,
        learning_rate=1e-2, batch_size=64, offline_dataset=data_of_points(1000),
    )  # fmt: skip
    model.learn(1)
    obs = np.random.default_rng(0).uniform(-2, 2, (300, 3)).astype(np.float32)
    played = model.predict(obs)[0]
    near = np.abs(played[..., None] - np.array([0.0, 2.0])).min(axis=-1)
    assert np.quantile(near, 0.9) < 0.5
    assert 0.25 < (played > 1).mean() < 0.75
