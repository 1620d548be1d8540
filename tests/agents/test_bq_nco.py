"""BQ-NCO: views, training data, the network, learning, files."""

import itertools
import math

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

import or_envs
from agents.bq_nco import losses
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.labels import Labels
from agents.bq_nco.network import BQNetwork, squared_penalty
from agents.bq_nco.search import beam, construct, decoder
from agents.bq_nco.subproblems import SUBPROBLEMS, Draw
from agents.bq_nco.tails import VIEWS, nearest, view_of
from or_envs.core.sb3 import make_sb3_vec_env
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSPInstance
from tests.agents.bq_nco_cases import (
    SIZES,
    best_solution,
    drawn,
    every_problem,
    model_of,
    problem_of,
    solved,
)


def test_published_network_has_the_published_number_of_parameters():
    network = BQNetwork(
        view_of("TSP", canonical=False), 192, 12, 9, 512, scaled=False, normalization="rezero"
    )
    assert sum(p.numel() for p in network.parameters()) == 3_107_539


@every_problem
def test_targets_are_the_first_steps_of_optimal_completions(name):
    """So they are for every sub-problem of an optimal solution; a wrong order would break it."""
    for draw in drawn(name):
        nodes = draw.state.remaining.shape[1]
        size = {"TSP": nodes, "ATSP": nodes, "Knapsack": nodes}.get(name, nodes - 1)
        key = next(iter(SIZES[name]))
        problem = or_envs.make_problem(f"or_envs/{name}-v0", **{key: size})
        for row in range(min(draw.state.num, 3)):
            index = torch.tensor([row])
            instance, state = (
                part.rows(index).map(lambda x: x.numpy()) for part in (draw.instance, draw.state)
            )
            best, _ = best_solution(problem, instance, state)
            targets = [int(t) for t in draw.targets[row] if t >= 0]
            assert targets
            for target in targets:
                post, reward = problem.post_decision(instance, state, np.array([target]))
                following, outcome, over = problem.transition(instance, post, None)
                value = reward[0] + outcome[0]
                if not over[0]:
                    value += best_solution(problem, instance, following)[0]
                assert value == pytest.approx(best, rel=1e-9, abs=1e-9)


@every_problem
def test_targets_are_allowed_outputs(name):
    view = view_of(name)
    for draw in drawn(name):
        tail = view(draw.instance, draw.state)
        right = (tail.actions[..., None] == draw.targets[:, None, None, :]).any(dim=3)
        assert (right & tail.allowed).flatten(1).any(dim=1).all()


def test_members_are_what_the_best_completion_visits():
    for draw in drawn("Orienteering"):
        nodes = draw.state.remaining.shape[1]
        problem = or_envs.make_problem("or_envs/Orienteering-v0", num_customers=nodes - 1)
        for row in range(min(draw.state.num, 3)):
            index = torch.tensor([row])
            instance, state = (
                part.rows(index).map(lambda x: x.numpy()) for part in (draw.instance, draw.state)
            )
            best, _ = best_solution(problem, instance, state)
            prizes = draw.instance.prize[row][draw.rows(index).members[0]]
            assert prizes.sum().item() == pytest.approx(best, rel=1e-9)


def test_every_step_of_routes_is_as_likely():
    labels = solved("Orienteering", 6)
    instance = labels.instance.to_torch("cpu", torch.float64)
    data = SUBPROBLEMS["Orienteering"](instance, torch.from_numpy(labels.actions))
    length, nodes = (labels.actions > 0).sum(axis=1), instance.prize.shape[1]
    rng = torch.Generator().manual_seed(0)
    before = [nodes + 1 - data.draw(rng, 1).state.remaining.shape[1] for _ in range(600)]
    for start in range(length.max()):
        share = (length > start).sum() / length.sum()
        assert np.mean(np.array(before) == start) == pytest.approx(share, abs=0.08)


def test_membership_is_learned(tmp_path):
    model = model_of("Orienteering", tmp_path, membership=1.0)
    data = model.subproblems(solved("Orienteering", 6))

    def wrong():
        draw = data.draw(torch.Generator().manual_seed(1), 600)
        tail = model.policy.view(draw.instance, draw.state)
        odds = model.policy.network.membership(model.policy.network.encode(tail))
        inside = torch.gather(draw.members, 1, tail.actions[..., 0])
        return ((odds > 0) != inside)[tail.allowed[..., 0]].float().mean()

    assert wrong() > 0.3
    for number in range(300):
        model.update(data.draw(torch.Generator().manual_seed(number), 200))
    assert wrong() < 0.2


def test_membership_is_for_orienteering(tmp_path):
    with pytest.raises(ValueError, match="membership: expected 0 except for Orienteering, got 1"):
        model_of("TSP", tmp_path, membership=1.0)
    with pytest.raises(ValueError, match="membership: expected a number >= 0, got -1"):
        model_of("Orienteering", tmp_path, membership=-1.0)


def test_places_are_the_best_path():
    for draw in drawn("TSP"):
        points = draw.instance.coordinates
        order = draw.places.argsort(dim=1)
        assert (order[:, 0] == draw.state.current).all()
        assert (order[:, -1] == 0).all()
        assert (order[:, 1] == draw.targets[:, 0]).all()
        for row in range(min(draw.state.num, 3)):
            problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=points.shape[1])
            instance, state = (
                part.rows(torch.tensor([row])).map(lambda x: x.numpy())
                for part in (draw.instance, draw.state)
            )
            best, _ = best_solution(problem, instance, state)
            path = points[row, order[row]]
            length = (path[1:] - path[:-1]).norm(dim=1).sum().item()
            assert length == pytest.approx(-best, rel=1e-9)


def test_adjacency_is_learned(tmp_path):
    """The likeliest neighbour of a token is one; the loss of the next step is the same."""
    architecture = {"dim": 32, "heads": 4, "layers": 2, "feed_forward": 32, "optimizer": "muon"}
    model = model_of("TSP", tmp_path, adjacency=1.0, policy_kwargs=architecture)
    data = model.subproblems(solved("TSP", 6))

    def wrong():
        draw = data.draw(torch.Generator().manual_seed(1), 600)
        tail = model.policy.view(draw.instance, draw.state)
        pairs = model.policy.network.adjacency(model.policy.network.encode(tail), tail)
        places = torch.gather(draw.places, 1, tail.actions[..., 0])
        likeliest = torch.gather(places, 1, pairs.argmax(dim=2))
        return ((likeliest - places).abs() != 1).float().mean()

    before = wrong()
    found = [
        model.update(data.draw(torch.Generator().manual_seed(number), 200)) for number in range(300)
    ]
    assert wrong() < 0.8 * before
    assert np.mean(found[-20:]) < 0.5 * np.mean(found[:20])
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = BQNCO.load(path)
    assert loaded.adjacency == 1.0
    assert type(loaded.policy.optimizer).__name__ == "Muon"


def test_adjacency_is_for_tours(tmp_path):
    with pytest.raises(ValueError, match="adjacency: expected 0 except for TSP, got 1"):
        model_of("CVRP", tmp_path, adjacency=1.0)
    with pytest.raises(ValueError, match="adjacency: expected a number >= 0, got -1"):
        model_of("TSP", tmp_path, adjacency=-1.0)


def test_optimizers_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(ValueError, match="optimizer: expected 'adam' or 'muon', got 'sgd'"):
        model_of("TSP", tmp_path, policy_kwargs={"optimizer": "sgd"})


def test_subproblems_of_tours_have_every_size():
    sizes = {draw.state.remaining.shape[1] for draw in drawn("TSP")}
    assert sizes <= set(range(4, 8))
    assert 7 in sizes  # the whole tour, closed


def test_subproblems_can_be_limited(tmp_path):
    model = model_of("TSP", tmp_path, largest=5)
    data = model.subproblems(solved("TSP", 6))
    rng = torch.Generator().manual_seed(0)
    assert {data.draw(rng, 60).state.remaining.shape[1] for _ in range(40)} == {4, 5}
    with pytest.raises(ValueError, match="largest: expected 0 except for TSP, got 5"):
        model_of("CVRP", tmp_path, largest=5)


@every_problem
def test_tails_do_not_depend_on_their_batch(name):
    """Rows with fewer tokens are filled up; nothing of that may be seen."""
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 5, 12)
    data = instance.to_torch("cpu", torch.float64)
    states = [problem.initial(data)]
    while len(states) < 3:
        mask = problem.action_mask(data, states[-1])
        action = torch.multinomial(mask.double(), 1, generator=torch.Generator().manual_seed(1))
        post, _ = problem.post_decision(data, states[-1], action[:, 0])
        states.append(problem.transition(data, post, None)[0])
    torch.manual_seed(0)
    view = view_of(name)
    network = BQNetwork(view)
    for state in states:
        together = view(data, state)
        scores, actions = network(together), together.actions.flatten(1)
        for row in torch.nonzero(together.allowed.flatten(1).any(dim=1))[:, 0].tolist():
            index = torch.tensor([row])
            alone = view(data.rows(index), state.rows(index))
            expected, named = network(alone)[0], alone.actions.flatten()
            some, other = torch.isfinite(scores[row]), torch.isfinite(expected)
            assert actions[row][some].tolist() == named[other].tolist()
            torch.testing.assert_close(scores[row][some], expected[other], atol=1e-5, rtol=1e-5)


@every_problem
def test_scores_follow_their_tokens(name):
    """Another numbering of the nodes only renumbers the scores."""
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 3, 4)
    data = instance.to_torch("cpu", torch.float64)
    state = problem.initial(data)
    view = view_of(name)
    torch.manual_seed(0)
    network = BQNetwork(view)
    nodes = state.remaining.shape[1]
    first = 0 if name == "Knapsack" else 1
    order = torch.cat([torch.arange(first), first + torch.randperm(nodes - first)])

    def renumbered(x):
        for axis in range(1, x.ndim):
            if x.shape[axis] == nodes:
                x = x.index_select(axis, order)
        return x

    def by_action(tail):
        found = {}
        scores, actions = network(tail), tail.actions.flatten(1)
        for row in range(4):
            for score, action in zip(scores[row], actions[row], strict=True):
                if torch.isfinite(score):
                    found[row, int(action)] = score.item()
        return found

    before = by_action(view(data, state))
    after = by_action(view(data.map(renumbered), state.map(renumbered)))
    assert len(before) == len(after)
    outputs = view.num_outputs
    for (row, action), score in after.items():
        if name == "CVRP":
            old = outputs * (int(order[action // 2 + 1]) - 1) + action % 2
        else:
            old = int(order[action])
        assert score == pytest.approx(before[row, old], abs=1e-5)


@every_problem
def test_tails_of_training_are_those_of_play(name):
    """What led to a state must not show: sub-problems hold no trace of it, so states may not."""
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 4, 1)
    data = instance.to_torch("cpu", torch.float64)
    view = view_of(name)
    state = problem.initial(data)
    step = int(problem.action_mask(data, state)[0].long().argmax())
    state, _ = problem.post_decision(data, state, torch.tensor([step]))
    before = view(data, state)
    # Change everything that belongs to the past: the last node's demand, prize, value, weight.
    past = step // 2 + 1 if name == "CVRP" else step
    for field in ("demand", "prize", "value", "weight"):
        if hasattr(data, field):
            getattr(data, field)[0, past] *= 0.5
    after = view(data, state)
    torch.testing.assert_close(before.features, after.features, rtol=0, atol=0)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("name", ["TSP", "CVRP"])
def test_canonical_tails_do_not_turn_move_or_grow(name, started):
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 0, 3)
    data = instance.to_torch("cpu", torch.float64)
    state = problem.initial(data)
    if started:
        step = problem.action_mask(data, state).long().argmax(dim=1)
        state, _ = problem.post_decision(data, state, step)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    moved = data.map(lambda x: 7.0 * x @ turn + 3.0 if x.ndim == 3 and x.shape[2] == 2 else x)
    view = view_of(name)
    one, other = view(data, state), view(moved, state)
    torch.testing.assert_close(one.features, other.features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.edges, other.edges, atol=1e-5, rtol=1e-5)


def test_filling_up_rows_changes_nothing():
    problem = problem_of("Knapsack")
    instance, _ = or_envs.sample(problem, 0, 4)
    data = instance.to_torch("cpu", torch.float64)
    state = problem.initial(data)
    chosen = torch.tensor([0, 1, 2, 3])
    state, _ = problem.post_decision(data, state, chosen)
    state.remaining[0, 4:6] = False
    view = view_of("Knapsack")
    network = BQNetwork(view)
    together = network(view(data, state))
    for row in range(4):
        index = torch.tensor([row])
        alone = network(view(data.rows(index), state.rows(index)))[0]
        alone = alone[torch.isfinite(alone)]
        mine = together[row][torch.isfinite(together[row])]
        torch.testing.assert_close(mine, alone, atol=1e-5, rtol=1e-5)


@every_problem
def test_half_precision_is_about_the_same(name, tmp_path):
    model = model_of(name, tmp_path)
    draw = drawn(name)[0]
    instance, state = (
        part.map(lambda x: x.float() if x.is_floating_point() else x)
        for part in (draw.instance, draw.state)
    )
    with torch.no_grad():
        whole = model.policy.scores(instance, state)[0]
        model.policy.precision = "bfloat16"
        half = model.policy.scores(instance, state)[0]
    assert half.dtype == torch.float32
    assert not torch.equal(whole, half)
    torch.testing.assert_close(half, whole, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_squared_penalties_are_products(kind):
    torch.manual_seed(0)
    places = 2 * torch.rand(2, 9, 2) - 1
    weight = torch.tensor([0.0, 3.0, 60.0])
    queries, keys = squared_penalty(places, weight, kind)
    assert queries.dtype == keys.dtype == kind
    # A sum in single precision, as in a matrix product of half precision.
    scores = queries.float() @ keys.float().transpose(2, 3)
    far = (places[:, :, None] - places[:, None]).square().sum(dim=3)
    expected = (-weight[:, None, None] * far[:, None]).softmax(dim=3)
    torch.testing.assert_close(scores.softmax(dim=3), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ["TSP", "CVRP"])
def test_a_squared_penalty_makes_attention_local(name, tmp_path):
    architecture = {"dim": 32, "heads": 4, "layers": 2, "feed_forward": 32, "penalty": "squared"}
    model = model_of(name, tmp_path, policy_kwargs=architecture)
    block = model.policy.network.blocks[0]
    x, places = torch.randn(1, 3, 32), torch.tensor([[[0.0, 0.0], [0.1, 0.0], [50.0, 0.0]]])
    changed = torch.cat([x[:, :2], x[:, 2:] + 1.0], dim=1)

    def sees_the_last():
        before, after = (block(tokens, None, None, places)[0, :2] for tokens in (x, changed))
        return not torch.equal(before, after)

    assert sees_the_last()
    # Only the first head looks that far.
    with torch.no_grad():
        block.out.weight[:, :8] = 0.0
    assert not sees_the_last()


@pytest.mark.parametrize("name", ["TSP", "CVRP"])
def test_a_squared_penalty_learns_and_needs_no_pairs(name, tmp_path):
    architecture = {
        **{"dim": 32, "heads": 4, "layers": 2, "feed_forward": 32, "precision": "bfloat16"},
        "penalty": "squared",
    }
    model = model_of(name, tmp_path, policy_kwargs=architecture)
    draw = drawn(name)[0]
    assert model.policy.view(draw.instance, draw.state).edges is None
    before = [block.steepness.detach().clone() for block in model.policy.network.blocks]
    model.learn(300)
    after = [block.steepness.detach() for block in model.policy.network.blocks]
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))
    instance, _ = or_envs.sample(problem_of(name), 3, 4)
    found = construct(model.policy, problem_of(name), instance.to_torch("cpu", torch.float32))
    assert (found.total_reward < 0).all()


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("TSP", {"penalty": "squared", "canonical": False}),
        ("ATSP", {"penalty": "squared"}),
        ("TSP", {"penalty": "cubed"}),
    ],
)
def test_penalties_that_do_not_exist_are_refused(name, kwargs):
    with pytest.raises(ValueError, match=r"penalty: expected 'distance' "):
        view_of(name, **kwargs)


def test_rezero_starts_as_the_identity():
    """Scores depend on a token's own features only."""
    view = view_of("TSP", canonical=False)
    network = BQNetwork(view, normalization="rezero")
    problem = problem_of("TSP")
    instance, _ = or_envs.sample(problem, 0, 1)
    data = instance.to_torch()
    before = network(view(data, problem.initial(data)))
    data.coordinates[0, 2] += 0.3
    after = network(view(data, problem.initial(data)))
    changed = before[0] != after[0]
    changed &= torch.isfinite(before[0])
    assert changed.sum() == 1


@every_problem
def test_learning_solving_and_files(name, tmp_path):
    model = model_of(name, tmp_path)
    model.learn(1500)
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 50, 8)
    data = instance.to_torch("cpu", torch.float64)
    greedy = construct(model.policy, problem, data)
    rule = model.decision_rule(problem)
    played = or_envs.simulate(problem, rule, instance)
    np.testing.assert_allclose(greedy.total_reward, played.total_reward, rtol=1e-6, atol=1e-6)
    one, many = (beam(model.policy, problem, data, width) for width in (1, 64))
    torch.testing.assert_close(one.total_reward, greedy.total_reward)
    best = [best_solution(problem, instance.rows(np.array([row])))[0] for row in range(8)]
    assert many.total_reward.mean() >= greedy.total_reward.mean() - 1e-9
    assert (many.total_reward.numpy() <= np.array(best) + 1e-6).all()
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = BQNCO.load(path, device="cpu")
    same = or_envs.simulate(problem, again.decision_rule(problem), instance)
    np.testing.assert_array_equal(same.actions, played.actions)
    # By observations alone it is the same policy, up to single precision.
    seen = or_envs.core.simulation.policy_rule(problem, Predicting(again))
    shown = or_envs.simulate(problem, seen, instance)
    assert shown.total_reward.mean() == pytest.approx(played.total_reward.mean(), rel=0.02)


class Predicting:
    """The part of a model that needs observations only."""

    def __init__(self, model):
        self.predict = model.predict


@pytest.mark.parametrize(
    ("destination", "left", "seen"),
    [
        ((10.0, 0.0), (1, 2, 4), (2.0, 0.0)),  # as far as the second nearest, in its direction
        ((0.0, -4.0), (1, 2, 4), (0.0, -2.0)),
        ((0.5, 0.5), (1, 2, 4), (0.5, 0.5)),  # near
        ((10.0, 0.0), (1, 2), (10.0, 0.0)),  # nobody is left out
    ],
)
def test_a_destination_counts_as_no_farther_than_the_nearest_cities(destination, left, seen):
    points = torch.tensor([[destination, (0.0, 1.0), (2.0, 0.0), (0.0, 0.0), (-3.0, 0.0)]])
    remaining = torch.zeros(1, 5, dtype=torch.bool)
    remaining[0, list(left)] = True
    empty = torch.zeros((1, 0), dtype=torch.long)
    state = TourState(torch.tensor([3]), remaining, empty, remaining.sum(dim=1))
    instance = TSPInstance.euclidean(points)
    looked_at, some = nearest("TSP", instance, state, 2)
    assert torch.nonzero(some.remaining[0])[:, 0].tolist() == [1, 2]
    torch.testing.assert_close(looked_at.coordinates[0, 0], torch.tensor(seen))
    torch.testing.assert_close(looked_at.coordinates[:, 1:], points[:, 1:])
    # What the environment plays is as it was.
    assert instance.coordinates[0, 0].tolist() == list(destination)


def test_depots_stay_where_they_are():
    problem = problem_of("CVRP")
    instance, _ = or_envs.sample(problem, 0, 4)
    data = instance.to_torch("cpu", torch.float64)
    looked_at, state = nearest("CVRP", data, problem.initial(data), 2)
    assert looked_at is data
    assert (state.remaining.sum(dim=1) == 2).all()


NEAR = {"dim": 32, "heads": 4, "layers": 2, "feed_forward": 32, "neighbours": 3}


def test_subproblems_of_the_nearest_cities(tmp_path):
    model = model_of("TSP", tmp_path, policy_kwargs=NEAR)
    labels = solved("TSP", 6)
    near = model.subproblems(labels)
    everything = model_of("TSP", tmp_path).subproblems(labels)
    some_left_out = 0
    for seed in range(20):
        draw = near.draw(torch.Generator().manual_seed(seed), 60)
        instance, state = nearest("TSP", draw.instance, draw.state, 3)
        size = state.remaining.shape[1]
        assert (state.remaining.sum(dim=1) == min(size - 2, 3)).all()
        assert torch.gather(state.remaining, 1, draw.targets).all()
        tail = model.policy.tail(draw.instance, draw.state)
        assert tail.present is None
        assert tail.features.shape[1] == min(size - 2, 3) + 2
        points = instance.coordinates
        away = (points - points[:, 1:2]).norm(dim=2)
        farthest = (away * state.remaining).amax(dim=1)
        left_out = ~state.remaining
        left_out[:, :2] = False
        if size <= 5:
            whole = everything.draw(torch.Generator().manual_seed(seed), 60)
            torch.testing.assert_close(points, whole.instance.coordinates)
            continue
        some_left_out += 1
        assert (away.masked_fill(~left_out, torch.inf).amin(dim=1) >= farthest).all()
        assert (away[:, 0] <= farthest * (1 + 1e-6)).all()
    assert some_left_out > 3


def test_a_policy_of_the_nearest_cities(tmp_path):
    """It plays what an unlimited one with its weights plays when told to look no farther."""
    model = model_of("TSP", tmp_path, adjacency=1.0, reinforce=0.3, groups=2, policy_kwargs=NEAR)
    model.learn(600)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = BQNCO.load(path).policy
    assert loaded.neighbours == 3
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=12)
    instance, _ = or_envs.sample(problem, 0, 8)
    data = instance.to_torch("cpu", torch.float64)
    found = decoder("greedy", loaded, problem)(data)
    one = decoder("beam:1", loaded, problem)(data)
    played = or_envs.simulate(problem, loaded.rule(), instance)
    loaded.neighbours = 0
    told = decoder("nearest:3", loaded, problem)(data)
    unlimited = decoder("greedy", loaded, problem)(data)
    for same in (one, told, played):
        np.testing.assert_array_equal(found.actions, same.actions)
    assert (found.actions != unlimited.actions).any()


def test_neighbours_are_for_tours(tmp_path):
    with pytest.raises(ValueError, match="and 0 except for TSP, got 3"):
        model_of("CVRP", tmp_path, policy_kwargs={"neighbours": 3})
    with pytest.raises(ValueError, match="neighbours: expected an integer >= 0"):
        model_of("TSP", tmp_path, policy_kwargs={"neighbours": -1})


def test_tokens_whose_neighbours_are_not_there_teach_nothing():
    """Places 0, 1, 5: the first two are beside each other, nobody is beside the third."""
    scores = torch.tensor(
        [[[-torch.inf, 1.0, 0.0], [2.0, -torch.inf, 0.0], [0.3, 0.7, -torch.inf]]],
        requires_grad=True,
    )
    loss = losses.adjacency(scores, torch.tensor([[0, 1, 5]]))
    first, second = math.log(1 + math.exp(-1.0)), math.log(1 + math.exp(-2.0))
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-6)
    loss.sum().backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[0, 2] == 0).all()


def test_own_labels_get_shorter(tmp_path):
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance, _ = or_envs.sample(problem, 0, 40)
    random = np.stack([1 + np.random.default_rng(k).permutation(5) for k in range(40)])
    model = model_of("TSP", tmp_path, Labels(instance, random), improve_every=5)
    model.learn(1500)
    now = or_envs.simulate(problem, model._improved[0].numpy(), instance).total_reward
    assert now.mean() > or_envs.simulate(problem, random, instance).total_reward.mean()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"improve_every": 7},
        {"reinforce": 0.5, "groups": 4},
        {"reinforce": 0.9, "groups": 2, "group_size": 2},  # killed after the switch
    ],
)
def test_a_resumed_training_is_the_same(tmp_path, settings):
    from agents.common.checkpoint import ExactCheckpoint, learn_resumable

    labels = solved("TSP", 6)
    whole = model_of("TSP", tmp_path, labels, **settings)
    learn_resumable(whole, 2400, tmp_path / "whole.safetensors")
    killed = model_of("TSP", tmp_path, labels, **settings)
    file = tmp_path / "killed.safetensors"

    class Kill(ExactCheckpoint):
        def _on_rollout_start(self):
            super()._on_rollout_start()
            if self._rollouts == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.learn(2400, callback=Kill(file, every=1))
    resumed = model_of("TSP", tmp_path, labels, **settings)
    learn_resumable(resumed, 2400, file)
    for one, other in zip(
        whole.policy.state_dict().values(), resumed.policy.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_killed_training_loses_no_more_than_a_block(tmp_path):
    from agents.common.checkpoint import learn_resumable, resume

    killed = model_of("TSP", tmp_path)

    class Kill(BaseCallback):
        def _on_rollout_start(self):
            if self.n_calls >= 20:  # of updates, ten to a block
                raise KeyboardInterrupt

        def _on_step(self):
            return True

    file = tmp_path / "killed.safetensors"
    with pytest.raises(KeyboardInterrupt):
        learn_resumable(killed, 5000, file, callback=Kill())
    resumed = model_of("TSP", tmp_path)
    resume(resumed, file)
    assert resumed._n_updates == 20


def test_first_loss_is_that_of_a_uniform_choice(tmp_path):
    model = model_of("TSP", tmp_path)
    draw = drawn("TSP", 300)[0]
    choices = draw.state.remaining.sum(dim=1)[0].item()
    assert model.update(draw) == pytest.approx(math.log(choices), abs=0.5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"tokens": 0}, "tokens: expected an integer >= 1, got 0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm: expected a number > 0"),
        ({"improve_every": -1}, "improve_every: expected an integer >= 0"),
        ({"reinforce": 1.5}, r"reinforce: expected a number in \[0, 1\], got 1.5"),
        ({"group_size": 1}, "group_size: expected an integer >= 2, got 1"),
        ({"policy_kwargs": {"heads": 5}}, "dim: expected a multiple of heads"),
        ({"policy_kwargs": {"precision": "float16"}}, "precision: expected 'float32' or"),
        ({"policy_kwargs": {"normalization": "batch"}}, "normalization: expected 'rezero'"),
    ],
)
def test_wrong_settings_are_named(kwargs, message):
    env = make_sb3_vec_env("or_envs/TSP-v0", 1, 0, num_cities=6)
    with pytest.raises(ValueError, match=message):
        BQNCO("BQPolicy", env, device="cpu", **kwargs)


def test_wrong_environments_and_labels_are_named(tmp_path):
    with pytest.raises(ValueError, match="env: BQ-NCO knows TSP, ATSP, CVRP"):
        BQNCO("BQPolicy", make_sb3_vec_env("or_envs/LotSizing-v0", 1, 0), device="cpu")
    env = make_sb3_vec_env("or_envs/CVRP-v0", 1, 0, mode="direct")
    with pytest.raises(ValueError, match="env: BQNCO needs mode='bq', got 'direct'"):
        BQNCO("BQPolicy", env, device="cpu")
    env = make_sb3_vec_env("or_envs/CVRP-v0", 1, 0)
    with pytest.raises(ValueError, match="improve_every: expected 0 except for TSP"):
        BQNCO("BQPolicy", env, device="cpu", improve_every=3)
    with pytest.raises(ValueError, match="labels: expected a sequence of files"):
        BQNCO("BQPolicy", env, labels="file.npz", device="cpu")
    with pytest.raises(ValueError, match="labels: expected at least one file"):
        BQNCO("BQPolicy", env, device="cpu").learn(1)
    wrong = tmp_path / "wrong.npz"
    wrong.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="labels: expected an npz file"):
        BQNCO("BQPolicy", env, labels=[str(wrong)], device="cpu").learn(1)
    solved("TSP", 2).save(wrong)
    with pytest.raises(ValueError, match=r"labels: .*expected arrays actions, instance.coord"):
        BQNCO("BQPolicy", env, labels=[str(wrong)], device="cpu").learn(1)


def test_every_view_has_training_data():
    assert VIEWS.keys() == SUBPROBLEMS.keys()
    assert len(set(itertools.chain(VIEWS, SIZES))) == len(VIEWS)


@pytest.mark.slow
def test_compiled_blocks_compute_the_same(tmp_path):
    plain = model_of("TSP", tmp_path)
    compiled = model_of(
        "TSP",
        tmp_path,
        policy_kwargs={
            "dim": 32,
            "heads": 4,
            "layers": 2,
            "feed_forward": 32,
            "compiled": True,
        },
    )
    compiled.policy.load_state_dict(plain.policy.state_dict())
    for draw in drawn("TSP")[:4]:
        draw = Draw(
            draw.instance.to_torch("cpu", torch.float32),
            draw.state,
            draw.targets,
        )
        expected, _ = plain.policy.scores(draw.instance, draw.state)
        found, _ = compiled.policy.scores(draw.instance, draw.state)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert all(block._compiled_call_impl for block in compiled.policy.network.blocks)
