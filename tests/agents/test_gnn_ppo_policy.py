"""GNN-PPO: masks, encoders, sizes."""

import numpy as np
import pytest
import torch

import or_envs
from agents.gnn_ppo.encoder import pool
from agents.gnn_ppo.job_graph import RELATIONS, Graph, graph_of, mean_of, others_on_machine
from agents.gnn_ppo.masking import choose, entropy, log_probabilities
from or_envs.job_shop.graph import edges
from or_envs.job_shop.instances import JobShopInstance
from tests.agents.gnn_ppo_helpers import (
    POLICIES,
    midgame,
    model_of,
    problem_of,
    scores_of,
    tensors,
)

every_policy = pytest.mark.parametrize("policy", POLICIES)
ARCHITECTURES = [
    ("JobTokens", {"rounds": 1}),
    ("JobTokens", {"rounds": 3, "heads": 2}),
    ("JobGraph", {"layers": 2}),
]
every_architecture = pytest.mark.parametrize(("policy", "architecture"), ARCHITECTURES)


# ---- masks ----------------------------------------------------------------------------------


def test_log_probabilities_by_hand():
    scores = torch.tensor([[0.0, np.log(2.0), 5.0], [1.0, 2.0, 3.0]])
    allowed = torch.tensor([[True, True, False], [False, False, True]])
    found = log_probabilities(scores, allowed)
    torch.testing.assert_close(found[0, :2].exp(), torch.tensor([1 / 3, 2 / 3]))
    assert found[0, 2].exp() == 0
    assert found[1].exp().tolist() == [0, 0, 1]
    by_hand = -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    torch.testing.assert_close(entropy(found), torch.tensor([by_hand, 0.0], dtype=torch.float32))


def test_gradients_of_masked_scores_are_zero_and_finite():
    scores = torch.zeros(2, 4, requires_grad=True)
    allowed = torch.tensor([[True, False, True, False], [False, False, False, True]])
    found = log_probabilities(scores, allowed)
    (entropy(found).sum() + found[:, 0][allowed[:, 0]].sum()).backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[~allowed] == 0).all()


def test_draws_have_their_probabilities_and_are_allowed():
    torch.manual_seed(0)
    allowed = torch.tensor([[True, False, True]]).expand(40_000, -1)
    scores = torch.tensor([[0.0, 9.0, 1.0]]).expand(40_000, -1)
    log_probs = log_probabilities(scores, allowed)
    for temperature in (1.0, 2.0):
        drawn = choose(log_probs, temperature)
        share = (drawn == 2).float().mean()
        assert share == pytest.approx(1 / (1 + np.exp(-1 / temperature)), abs=0.01)
        assert (drawn != 1).all()
    sure = torch.arange(40_000) % 2 == 0
    mixed = choose(log_probs, (~sure).float())
    assert (mixed[sure] == 2).all()
    assert (mixed[~sure] == 0).any()


def test_pool_by_hand():
    x = torch.tensor([[[1.0, 4.0], [3.0, 2.0], [9.0, 9.0]], [[5.0, 5.0]] * 3])
    present = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])[..., None]
    assert pool(x, present).tolist() == [[2, 3, 3, 4], [0, 0, 0, 0]]


# ---- symmetries -----------------------------------------------------------------------------


@every_architecture
def test_permuting_jobs_permutes_the_scores(policy, architecture):
    model = model_of(policy, policy_kwargs={"width": 16, **architecture})
    problem = problem_of(observation=POLICIES[policy])
    instance, state = midgame(problem)
    seen = problem.observation(instance, state)
    order = np.array([2, 0, 3, 1])
    turned = {name: np.array(value) for name, value in seen.items()}
    for name, value in seen.items():
        jobs = value[:, :-1] if name == "action_mask" else value
        turned[name][:, :4] = jobs[:, order]
    before, after = scores_of(model, seen), scores_of(model, turned)
    np.testing.assert_allclose(after[:, :4], before[:, order], atol=1e-5)
    np.testing.assert_allclose(after[:, 4], before[:, 4], atol=1e-5)
    assert np.ptp(before[before > -100]) > 1e-3  # there is something to permute


@every_architecture
def test_padding_changes_nothing(policy, architecture):
    model = model_of(policy, policy_kwargs={"width": 16, **architecture})
    small = problem_of(observation=POLICIES[policy])
    # Sizes from 4 x 3 on: the arrays are those of the largest.
    large = problem_of(num_jobs=(4, 7), num_machines=(3, 5), observation=POLICIES[policy])
    instance, _ = or_envs.sample(small, 3, 5)
    padded = instance.padded(7, 5)
    rng = np.random.default_rng(0)
    states = [small.initial(instance), large.initial(padded)]
    for _ in range(5):
        views = [small.observation(instance, states[0]), large.observation(padded, states[1])]
        one, other = (scores_of(model, seen) for seen in views)
        np.testing.assert_allclose(other[:, :4], one[:, :4], atol=1e-5)
        np.testing.assert_allclose(other[:, 7], one[:, 4], atol=1e-5)
        mask = small.action_mask(instance, states[0])
        actions = (rng.random(mask.shape) * mask).argmax(axis=1)
        for number, (problem, data) in enumerate(((small, instance), (large, padded))):
            own = np.where(actions == 4, problem.num_jobs, actions)
            post, _ = problem.post_decision(data, states[number], own)
            states[number] = problem.transition(data, post, None)[0]


@every_policy
def test_one_policy_plays_every_size(policy):
    model = model_of(policy)
    form = POLICIES[policy]
    for kwargs in ({"num_jobs": 10, "num_machines": 5}, {"instance": "FT06"}):
        problem = problem_of(observation=form, p_down=0.1, **kwargs)
        instance, exogenous = or_envs.sample(problem, 0, 3)
        played = or_envs.simulate(problem, or_envs.policy_rule(problem, model), instance, exogenous)
        assert (played.total_reward < 0).all()


@every_policy
def test_scores_do_not_depend_on_the_rest_of_the_batch(policy):
    model = model_of(policy)
    problem = problem_of(observation=POLICIES[policy])
    seen = problem.observation(*midgame(problem))
    together = scores_of(model, seen)
    for row in range(len(together)):
        alone = scores_of(model, {name: value[[row]] for name, value in seen.items()})
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@every_policy
def test_predict(policy):
    model = model_of(policy)
    problem = problem_of(observation=POLICIES[policy])
    seen = problem.observation(*midgame(problem))
    actions, _ = model.predict(seen, deterministic=True)
    assert (scores_of(model, seen).argmax(axis=1) == actions).all()
    for row in range(len(actions)):
        one, _ = model.predict(
            {name: value[row] for name, value in seen.items()}, deterministic=True
        )
        assert one == actions[row]
    # A narrower mask than the observation's counts.
    mask = seen["action_mask"] > 0
    first = mask & (np.cumsum(mask, axis=1) == 1)
    narrowed, _ = model.predict(seen, action_masks=first)
    np.testing.assert_array_equal(narrowed, first.argmax(axis=1))
    with pytest.raises(ValueError, match="action_masks: needed"):
        model.predict({name: v for name, v in seen.items() if name != "action_mask"})


# ---- the graph ------------------------------------------------------------------------------


def dense_forward(encoder, seen):
    """Encoder B with dense adjacency matrices in place of lists of edges."""
    rows, jobs, operations = seen["machine"].shape
    size = jobs * operations
    matrices = edges(seen["nodes"], seen["machine"])
    matrices["predecessor"] = matrices["successor"].transpose(1, 2)
    there = (seen["machine"].reshape(rows, size) >= 0).float()
    first = torch.relu(encoder.embed(seen["nodes"].reshape(rows, size, -1)))
    x = first
    for layer in encoder.layers:
        means = {}
        for name in RELATIONS:
            into = matrices[name].transpose(1, 2).float()
            means[name] = into @ x / into.sum(dim=2, keepdim=True).clamp(min=1)
        total = (x * there[..., None]).sum(dim=1) / there.sum(dim=1, keepdim=True).clamp(min=1)
        x = layer.update(x, first, means, total[:, None, :].expand_as(x))
    x = torch.relu(x) * there[..., None]
    mean = x.sum(dim=1) / there.sum(dim=1, keepdim=True).clamp(min=1)
    return x.reshape(rows, jobs, operations, -1), torch.cat([mean, x.amax(dim=1)], dim=1)


@pytest.mark.parametrize("steps", [0, 4, 8])
@pytest.mark.parametrize("p_down", [0.0, 0.5])
def test_lists_of_edges_and_dense_matrices_agree(steps, p_down):
    model = model_of("JobGraph", env={"p_down": p_down})
    problem = problem_of(num_jobs=6, num_machines=4, observation="graph", p_down=p_down)
    instance, state = midgame(problem, 20, steps)
    seen = tensors(problem.observation(instance, state))
    with torch.no_grad():
        found = model.policy.encoder(seen)
        nodes, context = dense_forward(model.policy.encoder, seen)
    torch.testing.assert_close(found.context, context, atol=1e-5, rtol=1e-5)
    for row in range(20):
        for job in np.flatnonzero(seen["action_mask"][row, :-1].numpy()):
            # What may be loaded is the operation that the state says is next.
            own = nodes[row, job, state.operation[row, job]]
            torch.testing.assert_close(found.candidates[row, job], own, atol=1e-5, rtol=1e-5)


def test_every_kind_of_edge_is_met():
    problem = problem_of(num_jobs=6, num_machines=3, observation="graph")
    seen = tensors(problem.observation(*midgame(problem, 30, 8)))
    graph = graph_of(seen)
    dense = edges(seen["nodes"], seen["machine"])
    for name in ("successor", "hold", "want"):
        assert graph.edges[name].shape[1] == dense[name].sum() > 0


def test_means_by_hand():
    x = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
    assert mean_of(x, torch.tensor([0, 0, 2, 2]), 3).flatten().tolist() == [2, 0, 6]
    graph = Graph(x, torch.zeros(4), torch.arange(4), torch.tensor([0, 0, 0, 1]), {})
    assert others_on_machine(x, graph).flatten().tolist() == [4, 3, 2, 0]


def test_edges_of_a_blocked_job():
    """T5: at 2 the job B is done on machine 2 and wants machine 0; A still runs on machine 1."""
    shop = JobShopInstance.of([[1, 0, 2], [2, 0, 1]], [[3, 1, 4], [2, 3, 1]])
    problem = problem_of(num_jobs=2, observation="graph")
    state = problem.initial(shop)
    for action in (0, 1, 2):  # load A, load B, then wait once: at 3 A is done as well
        seen = tensors(problem.observation(shop, state))
        post, _ = problem.post_decision(shop, state, np.array([action]))
        state, _, _ = problem.transition(shop, post, None)
    # Before the wait: B's first operation blocks, its second waits for machine 0, which is empty.
    graph = graph_of(seen)
    assert graph.slot.tolist() == [0, 1, 2, 3, 4, 5]
    assert graph.edges["hold"].shape[1] == 0
    seen = tensors(problem.observation(shop, state))
    assert state.clock[0] == 3
    post, _ = problem.post_decision(shop, state, np.array([0]))  # A onto machine 0
    state, _, _ = problem.transition(shop, post, None)
    seen = tensors(problem.observation(shop, state))
    # The circle of A and B turned at 4; B runs on machine 0, A on machine 2.
    assert state.clock[0] >= 4
    assert graph_of(seen).edges["want"].shape[1] == 0


# ---- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "kwargs", "message"),
    [
        ("JobTokens", {"width": 0}, "width: expected an integer >= 1, got 0"),
        ("JobTokens", {"rounds": 0}, "rounds: expected an integer >= 1, got 0"),
        ("JobTokens", {"width": 10, "heads": 3}, r"heads: expected a divisor of width \(10\)"),
        ("JobGraph", {"layers": 0}, "layers: expected an integer >= 1, got 0"),
        ("JobTokens", {"precision": "float16"}, "precision: expected 'float32' or 'bfloat16'"),
    ],
)
def test_wrong_architectures_are_named(policy, kwargs, message):
    with pytest.raises(ValueError, match=message):
        model_of(policy, policy_kwargs=kwargs)


def test_policies_and_observations_must_fit():
    with pytest.raises(ValueError, match="JobGraphPolicy needs observations with nodes, machine"):
        model_of("JobGraph", env={"observation": "jobs"})
    with pytest.raises(ValueError, match="JobTokenPolicy needs observations with jobs"):
        model_of("JobTokens", env={"observation": "graph"})


@every_policy
def test_half_precision_is_about_the_same(policy):
    model = model_of(policy)
    problem = problem_of(observation=POLICIES[policy])
    seen = problem.observation(*midgame(problem))
    whole = scores_of(model, seen)
    model.policy.precision = "bfloat16"
    half = scores_of(model, seen)
    assert half.dtype == np.float32
    assert not np.array_equal(whole, half)
    np.testing.assert_allclose(half, whole, atol=0.05, rtol=0.05)
