"""PDPPO with the known effect of decisions: gradient over all actions, improved decisions."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import or_envs
from agents.common.checkpoint import learn_resumable
from agents.pdppo.buffer import Samples
from agents.pdppo.pdppo import PDPPO
from or_envs.core.sb3 import make_sb3_vec_env
from tests.agents.helpers import LOT_SIZING, build, equal_parameters, lot_sizing, observations
from tests.agents.test_checkpoint import ROLLOUT, Kill, assert_equal_runs, final_state

ENVIRONMENTS = {
    "VI-B": lambda: lot_sizing(instance="VI-B"),
    "15x5": lot_sizing,
    "15x5 without masks": lambda: lot_sizing(allow_invalid=True),
    "Discrete": lambda: make_sb3_vec_env("or_envs/PostDecisionLake-v0", 4, 0, 0.5),
}


def collected(env, **settings):
    """Play one roll-out and learn nothing from it."""
    model = build(PDPPO, env, all_actions=True, **settings)
    model.train = lambda: None
    return model.learn(model.n_steps * env.num_envs)


def probabilities(model, obs, masks):
    """Of all values, from the actor's logits and a softmax by hand, one array per component."""
    policy = model.policy
    features = policy.extract_features(obs, policy.pi_features_extractor)
    logits = policy.action_net(policy.mlp_extractor.forward_actor(features))
    if masks is not None:
        logits = torch.where(torch.as_tensor(masks, dtype=torch.bool), logits, -torch.inf)
    space = model.action_space
    sizes = [int(space.n)] if isinstance(space, gym.spaces.Discrete) else space.nvec.tolist()
    return [torch.softmax(part, dim=1) for part in torch.split(logits, sizes, dim=1)]


# ---- advantages of all actions --------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_components_by_brute_force(name):
    """Every decision that differs in one component, one at a time, without kernels."""
    model = build(PDPPO, ENVIRONMENTS[name](), all_actions=True, n_steps=2)
    problem, scale = model.env.get_attr("problem")[0], model.env.reward_scale
    components, checked = model._components, []

    def q(instance, state, action):
        post, reward = problem.post_decision(instance, state, action)
        obs = torch.as_tensor(problem.observation(instance, post), dtype=torch.float32)
        with torch.no_grad():
            value = model.policy.predict_post_values(obs)
        return scale * float(reward[0]) + float(value)

    def spy(search, env, seen, actions, masks):
        result = components(search, env, seen, actions, masks)
        with torch.no_grad():
            parts = [part.numpy() for part in probabilities(model, seen, masks)]
        batch = env.vector_env.batch
        for b in range(env.num_envs):
            instance, state = batch.instance.rows(np.array([b])), batch.state.rows(np.array([b]))
            first = 0
            for k, part in enumerate(parts):
                allowed = np.flatnonzero(masks[b, first : first + part.shape[1]])
                values = np.zeros(part.shape[1])
                for choice in allowed:
                    action = actions[b : b + 1].copy()
                    action.reshape(1, -1)[0, k] = choice
                    values[choice] = q(instance, state, action)
                expected = np.zeros(part.shape[1])
                expected[allowed] = values[allowed] - part[b] @ values
                columns = slice(first, first + part.shape[1])
                np.testing.assert_allclose(result.advantages[b, columns], expected, atol=1e-6)
                np.testing.assert_allclose(
                    np.exp(result.log_probs[b, columns]), part[b], rtol=1e-4, atol=1e-12
                )
                checked.append(np.ptp(expected[allowed]))
                first += part.shape[1]
        return result

    model._components = spy
    model.learn(2 * 4)
    assert len(checked) == 2 * 4 * len(np.atleast_1d(model.action_space.sample()))
    assert np.mean(np.array(checked) > 1e-4) > 0.5


@pytest.mark.parametrize("name", ["VI-B", "15x5", "15x5 without masks"])
def test_advantages_are_centred(name):
    buffer = collected(ENVIRONMENTS[name]()).rollout_buffer
    weighted = np.exp(buffer.component_log_probs) * buffer.component_advantages
    (size,) = set(buffer.action_space.nvec.tolist())  # lot sizing: the same in all components
    np.testing.assert_allclose(weighted.reshape(20, 4, -1, size).sum(axis=3), 0, atol=1e-6)
    forbidden = ~buffer.action_masks
    assert forbidden.any() == (name == "15x5")
    assert (buffer.component_advantages[forbidden] == 0).all()
    assert (np.exp(buffer.component_log_probs[forbidden]) == 0).all()
    assert (buffer.component_advantages[~forbidden] != 0).mean() > 0.9


# ---- gradient -------------------------------------------------------------------------------


def actor_gradient(model, loss):
    parameters = [*model.policy.mlp_extractor.policy_net.parameters()]
    parameters += model.policy.action_net.parameters()
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, parameters)])


def loss_now(model, batch, epsilon=0.2):
    now = model.policy.evaluate_actions(batch.observations, batch.actions, batch.action_masks)
    return model._all_actions_loss(batch, now.distribution, epsilon)


@pytest.mark.parametrize("name", ["VI-B", "15x5", "15x5 without masks"])
def test_first_gradient_is_that_of_the_expectation(name):
    """-sum_k E A_k(x) under the actor, differentiated through a softmax of its logits."""
    model = collected(ENVIRONMENTS[name](), normalize_advantage=False)
    batch = next(model.rollout_buffer.get())
    chances = torch.cat(probabilities(model, batch.observations, batch.action_masks), dim=1)
    expected = actor_gradient(
        model, -(chances * batch.component_advantages).sum() / len(batch.advantages)
    )
    assert expected.abs().max() > 1e-4
    ours = actor_gradient(model, loss_now(model, batch))
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-7)


def test_first_gradient_is_the_mean_of_sampled_ones():
    """One machine: the policy gradient of sampled decisions, over and over in the same states."""
    model = collected(lot_sizing(instance="VI-B", scale=1.0), normalize_advantage=False)
    batch = next(model.rollout_buffer.get())
    ours = actor_gradient(model, loss_now(model, batch)).numpy()
    torch.manual_seed(0)
    sampled = []
    for _ in range(300):
        with torch.no_grad():
            actions, _, _ = model.policy(batch.observations)
        log_probs = model.policy.evaluate_actions(batch.observations, actions).log_probs[:, 0]
        advantages = batch.component_advantages.gather(1, actions)[:, 0]
        sampled.append(actor_gradient(model, -(log_probs * advantages).mean()).numpy())
    mean = np.mean(sampled, axis=0)
    error = np.std(sampled, axis=0) / np.sqrt(len(sampled))
    seen = error > 1e-6 * error.max()
    assert seen.mean() > 0.5
    assert (np.abs(ours - mean)[seen] < 5 * error[seen]).all()
    # It is a test: neither no gradient nor one that is a third too long would pass.
    assert (np.abs(mean)[seen] > 20 * error[seen]).any()


def two_values(old, new, advantages, normalize=False, epsilon=0.2):
    batch = Samples(*[None] * 8, torch.tensor([old]).log(), torch.tensor([advantages]))
    logits = torch.tensor([new]).log().requires_grad_()
    distribution = CategoricalDistribution(2).proba_distribution(logits)
    model = SimpleNamespace(normalize_advantage=normalize)
    loss = PDPPO._all_actions_loss(model, batch, distribution, epsilon)
    return loss.item(), torch.autograd.grad(loss, logits)[0]


def test_clipped_objective_by_hand():
    """Chances 1/2 and 1/2 before, advantages 1 and -1, clipped to [0.8, 1.2]."""
    # Ratios 1.4 and 0.6: 0.5 min(1.4, 1.2) + 0.5 min(-0.6, -0.8) = 0.2, both beyond their clips.
    loss, gradient = two_values([0.5, 0.5], [0.7, 0.3], [1.0, -1.0])
    assert loss == pytest.approx(-0.2)
    assert (gradient == 0).all()
    # Ratios 0.6 and 1.4, the wrong way: 0.5 min(0.6, 0.8) + 0.5 min(-1.4, -1.2) = -0.4; with
    # p = 0.3 the gradient of -(p - (1 - p)) is -2 p (1 - p) = -0.42 in the first logit.
    loss, gradient = two_values([0.5, 0.5], [0.3, 0.7], [1.0, -1.0])
    assert loss == pytest.approx(0.4)
    torch.testing.assert_close(gradient, torch.tensor([[-0.42, 0.42]]))
    # Advantages in units of their deviation: 3 and -3 become 1 and -1.
    assert two_values([0.5, 0.5], [0.3, 0.7], [3.0, -3.0], normalize=True)[0] == pytest.approx(0.4)
    # Chances 3/4 and 1/4, advantages 1 and -3 of variance 3; ratios 0.8 and 1.6.
    loss, _ = two_values([0.75, 0.25], [0.6, 0.4], [1.0, -3.0], normalize=True)
    assert loss == pytest.approx((-0.6 + 3 * 0.4) / np.sqrt(3))


def test_values_without_any_chance_do_no_harm():
    """Chances too small for float32 before, large now: pi / pi_old would be infinite."""
    loss, gradient = two_values([1e-45, 1.0], [1.0, 1e-45], [-1.0, 0.0])
    assert loss == pytest.approx(1.0)
    assert torch.isfinite(gradient).all()


def test_the_actor_learns_from_it():
    """Critics standing still, the actor's expected advantage grows; sampled advantages differ."""
    settings = {"critic_learning_rate": 1e-12, "learning_rate": 3e-3, "ent_coef": 0.0}
    model = build(PDPPO, lot_sizing(), all_actions=True, **settings).learn(80)
    batch = next(model.rollout_buffer.get())
    with torch.no_grad():
        chances = torch.cat(probabilities(model, batch.observations, batch.action_masks), dim=1)
    gain = (chances * batch.component_advantages).sum(dim=1)
    assert gain.mean() > 1e-4
    sampled = build(PDPPO, lot_sizing(), **settings).learn(80)
    assert not equal_parameters(model, sampled)


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "advantage", ["ppo", "ppo_two_critics", "pd_max", "pd_min", "pd_sum", "pd_td"]
)
@pytest.mark.parametrize("setting", [{"all_actions": True}, {"improvement_sweeps": 2}])
def test_only_the_value_of_post_decision_states_will_do(advantage, setting):
    if advantage == "pd_td":
        build(PDPPO, lot_sizing(), advantage=advantage, **setting)
        return
    (name,) = setting
    with pytest.raises(ValueError, match=f"{name}: .*advantage='{advantage}'"):
        build(PDPPO, lot_sizing(), advantage=advantage, **setting)


def test_negative_sweeps_are_refused():
    with pytest.raises(ValueError, match="improvement_sweeps: expected an integer >= 0, got -1"):
        build(PDPPO, lot_sizing(), improvement_sweeps=-1)


@pytest.mark.parametrize("setting", [{"all_actions": True}, {"improvement_sweeps": 2}])
def test_what_they_need(setting):
    dummy = DummyVecEnv([lambda: gym.make(LOT_SIZING, instance="VI-A")])
    with pytest.raises(ValueError, match="expected an SB3VecEnv, got DummyVecEnv"):
        build(PDPPO, dummy, **setting).learn(20)
    with pytest.raises(ValueError, match="expected an SB3VecEnv, got VecMonitor"):
        build(PDPPO, VecMonitor(lot_sizing(allow_invalid=True)), **setting).learn(80)
    (name,) = setting
    continuous = DummyVecEnv([lambda: gym.make("Pendulum-v1")])
    with pytest.raises(ValueError, match=f"{name}: .* needs Discrete or MultiDiscrete actions"):
        build(PDPPO, continuous, **setting)


def test_illegal_actions_have_no_value():
    with pytest.raises(ValueError, match="mask: False, but all_actions=True"):
        build(PDPPO, lot_sizing(), all_actions=True, mask=False).learn(80)
    build(PDPPO, lot_sizing(allow_invalid=True), all_actions=True, mask=False).learn(80)


# ---- improved decisions ---------------------------------------------------------------------


def trained(**settings):
    return build(PDPPO, lot_sizing(), learning_rate=3e-3, **settings).learn(2 * ROLLOUT)


def situation(num=40):
    """Starts of episodes: the problem, instances, states, observations and masks."""
    problem = or_envs.make_problem(LOT_SIZING, instance="15x5", horizon=7)
    instance, _ = or_envs.sample(problem, seed=5, num=num)
    state = problem.initial(instance)
    obs = np.asarray(problem.observation(instance, state)).astype(np.float32)
    masks = np.broadcast_to(problem.action_mask(instance, state), (num, 80))
    return problem, instance, state, obs, masks


def test_without_sweeps_the_actor_decides():
    model = trained()
    problem, instance, state, obs, masks = situation()
    for deterministic in (True, False):
        torch.manual_seed(0)
        expected, _ = model.policy.predict(obs, deterministic=deterministic, action_masks=masks)
        torch.manual_seed(0)
        actions, _ = model.predict(obs, deterministic=deterministic, action_masks=masks)
        np.testing.assert_array_equal(actions, expected)
        torch.manual_seed(0)
        rule = or_envs.policy_rule(problem, model, deterministic)
        np.testing.assert_array_equal(rule(instance, state), expected)
    free = observations(model)  # no mask given, none used
    expected, _ = model.policy.predict(free, deterministic=True)
    np.testing.assert_array_equal(model.predict(free, deterministic=True)[0], expected)


@pytest.mark.parametrize("deterministic", [True, False])
def test_improved_decisions_are_no_worse(deterministic):
    model = trained(improvement_sweeps=2)
    problem, instance, state, _, masks = situation()
    torch.manual_seed(0)
    actor, _ = model.policy.predict(
        problem.observation(instance, state).astype(np.float32),
        deterministic=deterministic,
        action_masks=masks,
    )
    torch.manual_seed(0)
    improved = model.decision_rule(problem, deterministic)(instance, state)
    search = model.search(problem)
    before, after = (search.values(instance, state, actions) for actions in (actor, improved))
    assert (after >= before).all()
    assert (after > before + 1e-4).any()
    # The ascent starts from the actor's decision, and where it starts matters.
    np.testing.assert_array_equal(improved, search.improve(instance, state, actor, 2)[0])
    idle = np.zeros_like(actor)
    assert (improved != search.improve(instance, state, idle, 2)[0]).any()
    allowed = masks.reshape(len(masks), 5, 16)
    assert np.take_along_axis(allowed, improved[:, :, None], axis=2).all()


def test_predict_decodes_what_it_sees():
    model = trained(improvement_sweeps=2)
    problem, instance, state, obs, masks = situation()
    expected = model.decision_rule(problem)(instance, state)
    assert (expected != model.policy.predict(obs, None, None, True, masks)[0]).any()
    np.testing.assert_array_equal(model.decision_rule(problem)(*problem.decode(obs)), expected)
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], expected)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True, action_masks=masks)[0], expected
    )
    np.testing.assert_array_equal(model.predict(obs[3], deterministic=True)[0], expected[3])
    np.testing.assert_array_equal(or_envs.policy_rule(problem, model)(instance, state), expected)


def test_improved_decisions_from_files(tmp_path):
    model = trained(all_actions=True, improvement_sweeps=2)
    problem, instance, state, obs, _ = situation()
    expected = model.predict(obs, deterministic=True)[0]
    model.save(tmp_path / "model")

    again = PDPPO.load(tmp_path / "model", lot_sizing(scale=1.0))
    arguments = again.settings()["arguments"]
    assert (arguments["all_actions"], arguments["improvement_sweeps"]) == (True, 2)
    assert again.settings() == model.settings()
    assert again.search(problem).reward_scale == 0.01  # the critic's, not that of the environment
    np.testing.assert_array_equal(again.predict(obs, deterministic=True)[0], expected)
    with pytest.raises(ValueError, match=r"reward_scale 1\.0, but the critic has learned with"):
        again.learn(80)

    alone = PDPPO.load(tmp_path / "model")
    with pytest.raises(ValueError, match="load the model with env"):
        alone.predict(obs, deterministic=True)
    np.testing.assert_array_equal(alone.decision_rule(problem)(instance, state), expected)

    PDPPO.load(tmp_path / "model", lot_sizing()).learn(80)


@pytest.mark.parametrize("setting", [{"all_actions": True}, {"improvement_sweeps": 2}])
def test_another_scale_is_refused_when_learning(setting, tmp_path):
    build(PDPPO, lot_sizing(), **setting).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"env: has reward_scale 1\.0"):
        PDPPO.load(tmp_path / "model", lot_sizing(scale=1.0)).learn(80)


def test_states_that_cannot_be_seen():
    env = lot_sizing(observation_mode="inventory_only")
    model = build(PDPPO, env, improvement_sweeps=1)
    with pytest.raises(ValueError, match="inventory_only"):
        model.predict(env.reset())


def test_sweeps_change_nothing_while_learning():
    assert equal_parameters(trained(), trained(improvement_sweeps=3))


# ---- old roll-outs and checkpoints ----------------------------------------------------------

SETTINGS = {"all_actions": True, "reuse_rollouts": 2}


def test_components_of_old_rollouts():
    """Four roll-outs, two of them in use, with the components of their collection."""
    model = build(PDPPO, lot_sizing(), **SETTINGS)
    names = ["component_log_probs", "component_advantages"]
    collected, pools = [], []
    train = model.train

    def spy():
        buffer = model.rollout_buffer
        collected.append(
            [np.concatenate([getattr(buffer, n)[:, b].copy() for b in range(4)]) for n in names]
        )
        train()
        pools.append([buffer._pool[name].copy() for name in names])

    model.train = spy
    model.learn(4 * ROLLOUT)
    assert [len(pool[0]) for pool in pools] == [80, 160, 160, 160]
    for last, pool in enumerate(pools):
        for part in (0, 1):
            expected = [one[part] for one in collected[max(0, last - 1) : last + 1]]
            np.testing.assert_array_equal(pool[part], np.concatenate(expected))
    assert not np.array_equal(collected[2][1], collected[3][1])


def test_minibatches_keep_transitions_together():
    model = collected(lot_sizing())
    buffer = model.rollout_buffer
    rows = {obs.tobytes() + row.tobytes() for obs, row in pairs(buffer)}
    assert len(rows) > 60
    seen = 0
    for batch in buffer.get(30):
        for obs, row in zip(batch.observations, batch.component_advantages, strict=True):
            assert obs.numpy().tobytes() + row.numpy().tobytes() in rows
            seen += 1
    assert seen == 80


def pairs(buffer):
    for t in range(buffer.buffer_size):
        yield from zip(buffer.observations[t], buffer.component_advantages[t], strict=True)


def test_killed_and_resumed_with_all_actions(tmp_path):
    undisturbed = build(PDPPO, lot_sizing(), **SETTINGS).learn(6 * ROLLOUT)
    expected = final_state(undisturbed)
    killed = build(PDPPO, lot_sizing(), **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        learn_resumable(killed, 6 * ROLLOUT, tmp_path / "c", every=2, callback=Kill(4.5 * ROLLOUT))
    torch.manual_seed(99)
    resumed = build(PDPPO, lot_sizing(), **SETTINGS)
    learn_resumable(resumed, 6 * ROLLOUT, tmp_path / "c")
    assert_equal_runs(undisturbed, resumed, expected, final_state(resumed))
    sampled = build(PDPPO, lot_sizing(), reuse_rollouts=2).learn(6 * ROLLOUT)
    assert not equal_parameters(undisturbed, sampled)
