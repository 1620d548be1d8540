"""GNN-PPO for the fleet: graph capsules, encoder, pointer, learning."""

import numpy as np
import pytest
import torch

import or_envs
from agents.common.checkpoint import ExactCheckpoint, learn_resumable
from agents.gnn_ppo.advantages import generalised_advantages
from agents.gnn_ppo.demonstrations import Demonstrations
from agents.gnn_ppo.episodes import follow, play
from agents.gnn_ppo.fleet_graph import Pointer, SeriesEncoder, closeness
from agents.gnn_ppo.gnn_ppo import GNNPPO
from agents.gnn_ppo.graph_capsule import (
    DenseCapsule,
    complete_laplacian,
    laplacian_matrix,
)
from agents.gnn_ppo.graph_capsule_conv import GraphCapsuleConv
from agents.gnn_ppo.units import clock_of, unit_of
from agents.ppo.ppo import MaskablePPO
from baselines.uam_fleet.rules import Greedy
from or_envs.core.sb3 import make_sb3_vec_env
from or_envs.uam_fleet.observations import VERTIPORT_FEATURES
from tests.agents.gnn_ppo_helpers import parameters, tensors

ID = "or_envs/UAMFleet-v0"
NORMALIZATIONS = ("rw", "sym", "published")
every_normalization = pytest.mark.parametrize("normalization", NORMALIZATIONS)
every_shape = pytest.mark.parametrize(("moments", "powers"), [(1, 0), (1, 1), (3, 2)])


def problem_of(**kwargs):
    return or_envs.make_problem(ID, **{"preset": "tiny", **kwargs}).compiled()


def model_of(num_envs=4, env=None, **settings):
    small = {
        "baseline": "critic",
        "groups": 3,
        "group_size": 3,
        "n_steps": 16,
        "gamma": 0.99,
        "batch_size": 32,
        "dev_instances": 4,
        "dev_every": 2,
        "seed": 0,
        "device": "cpu",
        "policy_kwargs": {"width": 16},
    }
    if settings.get("baseline") == "group":
        small["gamma"] = 1.0
    vec_env = make_sb3_vec_env(ID, num_envs, 0, **{"preset": "tiny", **(env or {})})
    return GNNPPO("FleetGraph", vec_env, **{**small, **settings})


def midday(problem, num=5, steps=12, seed=0):
    """Instances and states some random decisions after the opening."""
    instance, tape = or_envs.sample(problem, seed, num)
    state = problem.initial(instance)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        mask = problem.action_mask(instance, state)
        actions = (rng.random(mask.shape) * mask).argmax(axis=1)
        post, _ = problem.post_decision(instance, state, actions)
        state, _, over = problem.transition(instance, post, tape)
        assert not over.any()
    return instance, state


def scored(model, problem, instance, state):
    """Log-probabilities of a policy that has learned something, whatever it is."""
    seen = problem.observation(instance, state)
    allowed = torch.from_numpy(problem.action_mask(instance, state))
    with torch.no_grad():
        return model.policy.evaluate(tensors(seen), allowed)[0].numpy()


def stirred(model):
    """Weights drawn anew where they start at 0."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


# ---- graph capsules -------------------------------------------------------------------------


def random_graphs(num, nodes, generator, loners=False):
    weights = torch.rand(num, nodes, nodes, generator=generator)
    weights = weights * (torch.rand(num, nodes, nodes, generator=generator) < 0.6)
    weights = torch.triu(weights, 1)
    if loners:
        weights[:, :, -1] = 0.0
    return weights + weights.transpose(1, 2)


@every_normalization
@every_shape
@pytest.mark.parametrize("loners", [False, True])
def test_dense_and_edge_forms_agree(normalization, moments, powers, loners):
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    dense = DenseCapsule(6, 12, moments, powers, normalization)
    edges = GraphCapsuleConv(6, 12, moments, powers, normalization)
    edges.load_state_dict(dense.state_dict())
    weights = random_graphs(4, 7, generator, loners)
    x = torch.randn(4, 7, 6, generator=generator)
    graph, source, target = weights.nonzero(as_tuple=True)
    index = torch.stack([7 * graph + source, 7 * graph + target])
    found = edges(x.reshape(28, 6), index, weights[graph, source, target])
    torch.testing.assert_close(found.reshape(4, 7, 12), dense(x, weights), atol=1e-5, rtol=1e-5)


@every_normalization
@every_shape
def test_the_complete_graph_has_a_shortcut(normalization, moments, powers):
    torch.manual_seed(0)
    layer = DenseCapsule(5, 8, moments, powers, normalization)
    x = torch.randn(3, 9, 5)
    everything = (1 - torch.eye(9)).expand(3, -1, -1)
    torch.testing.assert_close(layer(x), layer(x, everything), atol=1e-5, rtol=1e-5)
    index = everything[0].nonzero().T
    edges = GraphCapsuleConv(5, 8, moments, powers, normalization)
    edges.load_state_dict(layer.state_dict())
    torch.testing.assert_close(edges(x[0], index), layer(x)[0], atol=1e-5, rtol=1e-5)


def test_laplacians_by_hand():
    # A path 0 - 1 - 2 with weights 1 and 3: degrees 1, 4, 3.
    weights = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 3.0], [0.0, 3.0, 0.0]]])
    assert laplacian_matrix(weights, "rw")[0].tolist() == [
        [1, -1, 0],
        [-0.25, 1, -0.75],
        [0, -1, 1],
    ]
    root = laplacian_matrix(weights, "sym")[0]
    assert root[0, 1].item() == pytest.approx(-0.5)
    assert root[1, 2].item() == pytest.approx(-3 / 12**0.5)
    published = laplacian_matrix(weights, "published")[0]
    assert published.tolist() == [[0, -1, 0], [-1, 3, -3], [0, -3, 2]]
    x = torch.tensor([[[1.0], [2.0], [6.0]]])
    assert complete_laplacian(3, "rw")(x).flatten().tolist() == [-3, -1.5, 4.5]
    assert complete_laplacian(1, "rw")(x[:, :1]).flatten().tolist() == [0]


def test_a_layer_by_hand():
    """One feature, two moments, one power, weights 1: F_0 + sum of tanh(F_0^p + L F_0^p)."""
    layer = DenseCapsule(1, 1, 2, 1, "published")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0 if parameter.ndim == 2 else 0.0)
    x = torch.tensor([[[0.5], [0.2], [0.1]]])
    # Complete graph of three: D - 1 = 1, so that L x = 2 x - sum of x.
    expected = []
    for value in (0.5, 0.2, 0.1):
        first = np.tanh(value + 2 * value - 0.8)
        second = np.tanh(value**2 + 2 * value**2 - 0.30)
        expected.append(value + first + second)
    np.testing.assert_allclose(layer(x).detach().flatten(), expected, rtol=1e-6)


@every_normalization
def test_gradients_reach_every_weight(normalization):
    torch.manual_seed(0)
    layer = DenseCapsule(4, 8, 3, 2, normalization)
    weights = random_graphs(2, 5, torch.Generator().manual_seed(0))
    layer(torch.randn(2, 5, 4), weights).pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "inputs: expected an integer >= 1, got 0"),
        ((4, 0), "outputs: expected an integer >= 1, got 0"),
        ((4, 4, 0), "moments: expected an integer >= 1, got 0"),
        ((4, 4, 1, -1), "powers: expected an integer >= 0, got -1"),
        ((4, 4, 1, 1, "none"), "normalization: expected one of rw, sym, published, got 'none'"),
    ],
)
def test_wrong_layers_are_named(arguments, message):
    for kind in (DenseCapsule, GraphCapsuleConv):
        with pytest.raises(ValueError, match=message):
            kind(*arguments)


# ---- encoder and pointer --------------------------------------------------------------------


def test_closeness_by_hand():
    found = closeness(torch.tensor([[[0.0, 0.0], [0.6, 0.8], [0.0, 1.0]]]))
    expected = [[0, 1 / 2, 1 / 2], [1 / 2, 0, 1 / (1 + 0.4**0.5)], [1 / 2, 1 / (1 + 0.4**0.5), 0]]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


def test_forecasts_are_read_in_their_order():
    torch.manual_seed(0)
    series = torch.randn(2, 12, 3, 5)
    for layers in (0, 1):
        encoder = SeriesEncoder(8, 6, layers)
        found = encoder(series)
        assert found.shape == (2, 3, 6)
        torch.testing.assert_close(encoder(series[:, :, [2, 0, 1]]), found[:, [2, 0, 1]])
        assert not torch.allclose(encoder(series.flip(1)), found, atol=1e-3)


def test_the_pointer_starts_at_zero():
    torch.manual_seed(0)
    pointer = Pointer(8, 5, heads=2)
    nodes, context = torch.randn(3, 4, 8), torch.randn(3, 5)
    assert not pointer(nodes, context).any()
    with torch.no_grad():
        pointer.project.weight.normal_()
    found = pointer(nodes, context)
    torch.testing.assert_close(pointer(nodes[:, [3, 1, 0, 2]], context), found[:, [3, 1, 0, 2]])
    assert found.std() > 0.01


def test_the_untrained_policy_is_a_linear_rule():
    problem = problem_of()
    instance, tape = or_envs.sample(problem, 5, 6)
    column = VERTIPORT_FEATURES.index("next profit")

    def rule(instance, state):
        legs = problem.legs(instance, state)
        following = 100 * problem.observation(instance, state)["vertiports"][:, :, column]
        at = (state.location[:, :, None] == np.arange(3)).sum(axis=1)
        score = legs.profit - legs.minutes + 0.3 * following - at
        return np.where(legs.allowed, score, -np.inf).argmax(axis=1)

    found = or_envs.simulate(problem, or_envs.policy_rule(problem, model_of()), instance, tape)
    known = or_envs.simulate(problem, rule, instance, tape)
    np.testing.assert_allclose(found.total_reward, known.total_reward)


ARCHITECTURES = (
    {},
    {"moments": 3, "powers": 2, "normalization": "sym", "series_layers": 2},
    {"series_layers": 0, "normalization": "published"},
)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_order_of_vertiports_and_aircraft_does_not_matter(architecture):
    model = stirred(model_of(policy_kwargs={"width": 16, **architecture}))
    problem = problem_of(num_vertiports=4)
    instance, state = midday(problem)
    seen = problem.observation(instance, state)
    allowed = problem.action_mask(instance, state)
    order, fleet = np.array([2, 0, 3, 1]), np.array([3, 1, 0, 2])
    turned = dict(seen)
    turned["vertiports"] = seen["vertiports"][:, order]
    turned["series"] = seen["series"][:, :, order]
    turned["aircraft"] = seen["aircraft"][:, fleet]
    with torch.no_grad():
        before, value = model.policy.evaluate(tensors(seen), torch.from_numpy(allowed))
        after, same = model.policy.evaluate(tensors(turned), torch.from_numpy(allowed[:, order]))
    np.testing.assert_allclose(after, before[:, order], atol=1e-4)
    np.testing.assert_allclose(same, value, atol=1e-4)
    assert np.ptp(before[allowed]) > 1e-2


def test_one_policy_plays_every_size():
    model = stirred(model_of())
    for kwargs in (
        {"num_vertiports": 5, "num_aircraft": 9},
        {"num_vertiports": 2, "num_aircraft": 1},
        {"preset": "default", "day": 60},
    ):
        problem = problem_of(**kwargs)
        instance, tape = or_envs.sample(problem, 0, 3)
        played = or_envs.simulate(problem, or_envs.policy_rule(problem, model), instance, tape)
        assert np.isfinite(played.total_reward).all()


def test_scores_do_not_depend_on_the_rest_of_the_batch():
    model = stirred(model_of())
    problem = problem_of()
    instance, state = midday(problem)
    together = scored(model, problem, instance, state)
    for row in range(len(together)):
        one = np.array([row])
        alone = scored(model, problem, instance.rows(one), state.rows(one))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_gradients_reach_the_whole_network():
    model = stirred(model_of())
    problem = problem_of()
    instance, state = midday(problem)
    seen = tensors(problem.observation(instance, state))
    allowed = torch.from_numpy(problem.action_mask(instance, state))
    log_probs, values = model.policy.evaluate(seen, allowed)
    (log_probs[allowed].square().sum() + values.square().sum()).backward()
    still = [n for n, p in model.policy.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still
    model.policy.keep_value_gradients()
    moving = [n for n, p in model.policy.named_parameters() if p.grad is not None]
    assert moving
    assert all(name.startswith("value.") for name in moving)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"width": 0}, "width: expected an integer >= 1, got 0"),
        ({"width": 18}, r"heads: expected a divisor of width \(18\), got 4"),
        ({"series_width": 6}, "series_width: expected a positive multiple of 4, got 6"),
        ({"series_layers": -1}, "series_layers: expected an integer >= 0, got -1"),
        ({"sharpness": -1.0}, "sharpness: expected a number >= 0, got -1.0"),
        ({"moments": 0}, "moments: expected an integer >= 1, got 0"),
    ],
)
def test_wrong_architectures_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        model_of(policy_kwargs=kwargs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"critic_warm_up": -1}, "critic_warm_up: expected an integer >= 0, got -1"),
        ({"critic_learning_rate": 0.0}, "critic_learning_rate: expected a number > 0, got 0.0"),
        ({"gamma": 1.1}, r"gamma: expected a number in \[0, 1\], got 1.1"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        model_of(**settings)


def test_other_observations_are_refused():
    with pytest.raises(ValueError, match="needs observations with vertiports, aircraft, series"):
        model_of(env={"features": "ref2022"})
    env = make_sb3_vec_env(ID, 2, 0, preset="tiny", features="ref2022")
    with pytest.raises(ValueError, match="FleetGraph needs observations with aircraft, context"):
        MaskablePPO("FleetGraph", env)


# ---- units, time, advantages ----------------------------------------------------------------


def test_units_and_clocks():
    problem = problem_of()
    instance, state = midday(problem)
    fares = (instance.demand * instance.fare).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(unit_of(problem, instance), fares / 100)
    np.testing.assert_array_equal(clock_of(problem, state), state.ready.min(axis=1))
    normalised = problem_of(reward="terminal_normalised")
    assert unit_of(normalised, instance).tolist() == [1] * instance.num
    other = or_envs.make_problem("or_envs/TSP-v0", num_cities=4)
    assert clock_of(other, None) is None


def test_discounts_of_steps_by_hand():
    rewards, values = np.array([[1.0], [2.0]]), np.array([[10.0], [20.0], [30.0]])
    ended = np.zeros((2, 1), dtype=bool)
    discount = np.array([[0.5], [0.25]])
    # Surprises: 1 + 20/2 - 10 = 1, and 2 + 30/4 - 20 = -10.5.
    found = generalised_advantages(rewards, values, ended, discount, 0.5)
    assert found.flatten().tolist() == [1 + 0.25 * -10.5, -10.5]


def test_what_follows_is_discounted_by_minutes():
    """Values of 0 and no decay: advantages are discounted returns, summed here one by one."""
    model = model_of(num_envs=1, n_steps=200, gae_lambda=1.0)
    torch.nn.init.zeros_(model.policy.value[-1].weight)
    torch.nn.init.zeros_(model.policy.value[-1].bias)
    _, callback = model._setup_learn(1)
    env = model.env.vector_env
    unit = unit_of(model._problem(), env.instance)[0]
    seen, step = [], env.step

    def watch(actions):
        now = env.state.ready.min()
        result = step(actions)
        seen.append((now, result[1][0], bool(result[2][0])))
        return result

    env.step = watch
    model.collect_rollouts(model.env, callback, None, 200)
    last = next(k for k, (_, _, over) in enumerate(seen) if over)
    start = seen[0][0]
    total = sum(0.99 ** (now - start) * reward for now, reward, _ in seen[: last + 1])
    assert model._decisions.rows[0] == 0
    assert model._advantages[0] == pytest.approx(total / unit, rel=1e-4)


# ---- learning -------------------------------------------------------------------------------


def demonstrations(problem, num=6, seed=100):
    instance, tape = or_envs.sample(problem, seed, num)
    played = or_envs.simulate(problem, Greedy(problem, "profit"), instance, tape)
    steps = np.arange(played.actions.shape[1])
    actions = np.where(steps < played.num_steps[:, None], played.actions, -1)
    return Demonstrations(instance, tape, actions), played.total_reward


def test_days_are_files(tmp_path):
    problem = problem_of()
    made, profit = demonstrations(problem)
    made.save(tmp_path / "days.npz")
    read = Demonstrations.load(tmp_path / "days.npz", problem)
    again = or_envs.simulate(problem, np.maximum(read.actions, 0), read.instance, read.exogenous)
    np.testing.assert_array_equal(again.total_reward, profit)
    decisions = read.replay(problem)
    assert decisions.num > 50
    with pytest.raises(ValueError, match="labels must come from one with the same sizes"):
        Demonstrations.load(tmp_path / "days.npz", problem_of(num_aircraft=5))


def test_at_first_only_the_values_learn(tmp_path):
    model = model_of(critic_warm_up=2, learning_rate=1e-2, critic_learning_rate=1e-3)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    kept = []

    class Look(ExactCheckpoint):
        def _on_rollout_start(self):
            state = model.policy.state_dict()
            kept.append({n: torch.equal(v, before[n]) for n, v in state.items()})

        def _on_training_end(self):
            pass

    model.learn(4 * 64, callback=Look(tmp_path / "c"))
    for known in kept[1:3]:
        assert not known["value.0.weight"]
        assert all(same for name, same in known.items() if not name.startswith("value."))
    assert not kept[3]["encoder.rule.weight"]


@pytest.mark.parametrize("baseline", ["group", "critic"])
def test_learning_beats_the_start(baseline):
    model = model_of(
        16,
        baseline=baseline,
        learning_rate=5e-3,
        groups=8,
        group_size=8,
        n_steps=64,
        batch_size=256,
        n_epochs=2,
        gae_lambda=0.95,
        ent_coef=0.001,
        dev_instances=32,
        policy_kwargs={"width": 16, "series_layers": 0, "sharpness": 0.0},
    )
    problem = problem_of()
    instance, tape = or_envs.sample(problem, 0, 100)
    before = play(follow(model.policy, 1.0), problem, instance, tape).total_reward
    model.learn(8_000)
    after = play(follow(model.policy), problem, instance, tape).total_reward
    assert after.mean() > before.mean() + 200


def test_a_resumed_training_is_the_same(tmp_path):
    labels = tmp_path / "labels.npz"
    demonstrations(problem_of(), 2)[0].save(labels)
    settings = {"labels": [str(labels)], "clone_epochs": 2, "critic_warm_up": 2}
    total = 64 * 6
    whole = model_of(**settings)
    learn_resumable(whole, total, tmp_path / "whole")
    killed = model_of(**settings)

    class Kill(ExactCheckpoint):
        def _on_rollout_start(self):
            super()._on_rollout_start()
            if self._rollouts == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.learn(total, callback=Kill(tmp_path / "killed", every=1))
    torch.manual_seed(99)
    resumed = model_of(**settings)
    learn_resumable(resumed, total, tmp_path / "killed")
    assert 0 < killed.num_timesteps < whole.num_timesteps == resumed.num_timesteps
    assert torch.equal(parameters(whole), parameters(resumed))


def test_saved_models_decide_alike(tmp_path):
    model = stirred(model_of())
    model.save(tmp_path / "model.safetensors")
    again = GNNPPO.load(tmp_path / "model.safetensors", device="cpu")
    problem = problem_of()
    instance, state = midday(problem)
    found, known = (scored(m, problem, instance, state) for m in (again, model))
    np.testing.assert_array_equal(found, known)


# ---- MaskablePPO ----------------------------------------------------------------------------


def test_maskable_ppo_has_the_same_network(tmp_path):
    env = make_sb3_vec_env(ID, 4, 0, reward_scale=0.01, preset="tiny")
    model = MaskablePPO(
        "FleetGraph",
        env,
        n_steps=16,
        batch_size=32,
        seed=0,
        device="cpu",
        policy_kwargs={"width": 16},
    )
    ours = stirred(model_of())
    theirs = model.policy
    theirs.features_extractor.encoder.load_state_dict(ours.policy.encoder.state_dict())
    theirs.action_net.pointer.load_state_dict(ours.policy.pointer.state_dict())
    theirs.value_net.network.load_state_dict(ours.policy.value.state_dict())
    problem = problem_of()
    instance, state = midday(problem)
    seen = tensors(problem.observation(instance, state))
    allowed = problem.action_mask(instance, state)
    with torch.no_grad():
        log_probs, values = ours.policy.evaluate(seen, torch.from_numpy(allowed))
        distribution = theirs.get_distribution(seen, allowed)
        np.testing.assert_allclose(
            distribution.distribution.logits[allowed], log_probs[allowed], atol=1e-5
        )
        np.testing.assert_allclose(theirs.predict_values(seen)[:, 0], values, atol=1e-5)
    before = parameters(model)
    model.learn(64)
    assert not torch.equal(parameters(model), before)
    model.save(tmp_path / "model.safetensors")
    again = MaskablePPO.load(tmp_path / "model.safetensors", device="cpu")
    assert torch.equal(parameters(again), parameters(model))
    rules = [or_envs.policy_rule(problem, m) for m in (model, again)]
    one, other = (rule(instance, state) for rule in rules)
    np.testing.assert_array_equal(one, other)
    assert allowed[np.arange(len(one)), one].all()


def test_predict_needs_masks():
    model = model_of()
    problem = problem_of()
    with pytest.raises(ValueError, match="action_masks: needed"):
        model.predict(problem.observation(*midday(problem)))
