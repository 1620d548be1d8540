"""What BQ-NCO's tails know from the relaxation by 1-trees."""

from __future__ import annotations

import dataclasses
import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch

import or_envs
from agents.bq_nco import losses
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.labels import Labels
from agents.bq_nco.network import BQNetwork
from agents.bq_nco.relaxation import CERTAIN, NUM_FEATURES, WIDEST, worth_learning
from agents.bq_nco.search import decoder
from agents.bq_nco.subproblems import SUBPROBLEMS
from agents.bq_nco.tails import Tail, nearest, view_of
from or_envs.routing import tree_shares
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSPInstance
from tests.agents.bq_nco_cases import model_of

LINKED = {"dim": 32, "heads": 4, "layers": 2, "feed_forward": 32, "trees": 12}


def path_of(points, remaining=None):
    """Instances and states at node 1, on the way to node 0."""
    points = torch.as_tensor(points, dtype=torch.float32)
    if remaining is None:
        remaining = torch.ones(points.shape[:2], dtype=torch.bool)
    remaining = remaining & (torch.arange(points.shape[1]) > 1)
    empty = torch.zeros((len(points), 0), dtype=torch.long)
    current = torch.ones(len(points), dtype=torch.long)
    state = TourState(current, remaining, empty, remaining.sum(dim=1))
    return TSPInstance.euclidean(points), state


def test_features_do_not_depend_on_where_and_how_large(tmp_path):
    model = model_of("TSP", tmp_path, policy_kwargs={**LINKED, "trees": 8})
    points = torch.rand(6, 9, 2)
    one = model.policy.tail(*path_of(points))
    other = model.policy.tail(*path_of(4 * points.flip(2)))
    torch.testing.assert_close(one.links, other.links)
    torch.testing.assert_close(one.features[..., 4:], other.features[..., 4:])
    assert one.features.shape[2] == view_of("TSP").num_features + NUM_FEATURES


def test_features_by_hand(tmp_path):
    """Cities on a line from the origin at 0 to the destination at 4: mean edge 1."""
    model = model_of("TSP", tmp_path, policy_kwargs=LINKED)
    points = [[[4.0, 0], [0, 0], [1, 0], [2, 0], [3, 0]]]
    tail = model.policy.tail(*path_of(points))
    near, far = np.exp(-1), np.exp(-2)
    # Where all trees agree on the next city, no other is looked at.
    expected = [[1, 0, 0, 1, far, 1], [0, 0, 0, near, near, 0], [0, 1, 0, far, 1, 0]]
    torch.testing.assert_close(
        tail.features[0, 1:-1, 4:], torch.tensor(expected, dtype=torch.float32)
    )
    torch.testing.assert_close(
        tail.links[0], torch.diag(torch.ones(4), 1) + torch.diag(torch.ones(4), -1)
    )


def test_places_on_top_of_each_other_have_features(tmp_path):
    model = model_of("TSP", tmp_path, policy_kwargs=LINKED)
    corner = torch.tensor([[[0.0, 0.0]] * 5 + [[1.0, 1.0]]])
    for points in (torch.zeros(2, 6, 2), torch.ones(2, 3, 2), corner):
        tail = model.policy.tail(*path_of(points))
        assert torch.isfinite(tail.features).all()
        assert torch.isfinite(tail.links).all()


def test_a_narrow_view_has_the_links_of_the_wide_one(tmp_path):
    points = torch.rand(5, 12, 2)
    remaining = torch.ones(5, 12, dtype=torch.bool)
    remaining[0, 3:] = False
    remaining[1, 6:9] = False
    instance, state = path_of(points, remaining)
    wide = model_of("TSP", tmp_path, policy_kwargs=LINKED).policy.tail(instance, state)
    near = model_of("TSP", tmp_path, policy_kwargs={**LINKED, "neighbours": 3}).policy
    narrow = near.tail(instance, state)
    assert narrow.features.shape[1] == 5
    for row in range(5):
        there = narrow.present[row] if narrow.present is not None else torch.ones(5, dtype=bool)
        nodes = narrow.actions[row, 1:-1, 0][there[1:-1]]
        assert len(nodes) == min(3, int(state.remaining[row].sum()))
        places = [0, *(wide.actions[row, 1:-1, 0].tolist().index(k) + 1 for k in nodes), -1]
        rows = torch.nonzero(there)[:, 0]
        torch.testing.assert_close(
            narrow.links[row][rows][:, rows], wide.links[row][places][:, places]
        )
        torch.testing.assert_close(
            narrow.features[row][rows][1:-1, 4:], wide.features[row][places][1:-1, 4:]
        )
        assert (narrow.links[row][~there] == 0).all()


def test_trees_span_the_nearest_cities_only(tmp_path):
    model = model_of("TSP", tmp_path, policy_kwargs=LINKED)
    instance, state = path_of(torch.rand(2, WIDEST + 50, 2))
    tail = model.policy.tail(instance, state)
    assert tail.features.shape[1] == WIDEST + 2
    same = model.policy.tail(*nearest("TSP", instance, state, WIDEST))
    torch.testing.assert_close(tail.links, same.links)
    scores, actions = model.policy.scores(instance, state)
    assert scores.shape == actions.shape == (2, WIDEST + 2)


@pytest.mark.parametrize("normalization", ["layer", "rezero"])
def test_the_network_reads_links_and_pads_nothing_in(normalization, tmp_path):
    torch.manual_seed(0)
    model = model_of("TSP", tmp_path, policy_kwargs=LINKED)
    network = BQNetwork(
        view_of("TSP"), 32, 4, 2, 32, normalization=normalization, adjacent=True, linked=True
    )
    if normalization == "rezero":
        for block in network.blocks:
            torch.nn.init.ones_(block.alpha)
    points = torch.rand(3, 8, 2)
    remaining = torch.ones(3, 8, dtype=torch.bool)
    remaining[0, 5:] = False
    tail = model.policy.tail(*path_of(points, remaining))
    scores = network(tail)
    open_ = torch.isfinite(scores)
    other = network(dataclasses.replace(tail, links=tail.links.flip(0)))
    assert (other - scores)[open_].abs().max() > 1e-4
    alone = model.policy.tail(*path_of(points[:1, :5]))
    torch.testing.assert_close(network(alone)[0, :4], scores[0, :4])
    tokens = network.encode(tail)
    without = dataclasses.replace(tail, links=torch.zeros_like(tail.links))
    gained = network.adjacency(tokens, tail) - network.adjacency(tokens, without)
    expected = ((tail.links + 0.01) / 0.01).log()
    off = ~torch.eye(8, dtype=torch.bool)
    torch.testing.assert_close(gained[:, off], expected[:, off], rtol=1e-4, atol=1e-4)
    (network.adjacency(tokens, tail)[:, off].sum() + scores[open_].sum()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_policy_with_trees(tmp_path):
    """It learns, is written and read, and plays the same by observations as by states."""
    model = model_of("TSP", tmp_path, adjacency=1.0, reinforce=0.3, groups=2, policy_kwargs=LINKED)
    model.learn(600)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = BQNCO.load(path)
    assert loaded.policy.trees == 12
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance, _ = or_envs.sample(problem, 0, 8)
    data = instance.to_torch("cpu", torch.float64)
    found = decoder("greedy", loaded.policy, problem)(data)
    for name in ("beam:1", "beam:4", "reconstruct:3", "starts:2", "symmetries"):
        searched = decoder(name, loaded.policy, problem)(data)
        replayed = or_envs.simulate(problem, searched.actions.numpy(), instance)
        np.testing.assert_allclose(searched.total_reward, replayed.total_reward, rtol=1e-6)
    played = or_envs.simulate(problem, loaded.policy.rule(), instance)
    np.testing.assert_array_equal(found.actions, played.actions)
    env = gym.make("or_envs/TSP-v0", num_cities=6, mode="bq")
    for seed in range(8):
        seen, _ = env.reset(seed=seed)
        for step in range(5):
            action, _ = loaded.predict(seen, deterministic=True)
            assert action == found.actions[seed, step]
            seen, _, over, _, _ = env.step(action)
        assert over


def test_trees_are_for_tours(tmp_path):
    with pytest.raises(ValueError, match=r"trees: expected an integer in 0..1000, .* TSP, got 3"):
        model_of("CVRP", tmp_path, policy_kwargs={"trees": 3})
    with pytest.raises(ValueError, match=r"trees: expected an integer in 0..1000"):
        model_of("TSP", tmp_path, policy_kwargs={"trees": 1001})


def circles_and_others(num, cities):
    """Tours along circles, of which a relaxation is certain, and as many along random points."""
    angle = np.arange(cities) * 2 * np.pi / cities
    circle = 0.5 + 0.4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    random = np.random.default_rng(0).random((num, cities, 2))
    points = np.concatenate([np.broadcast_to(circle, (num, cities, 2)), random])
    actions = np.broadcast_to(np.arange(1, cities), (2 * num, cities - 1)).copy()
    return Labels(TSPInstance.euclidean(points), actions)


def test_doubtful_infixes_begin_where_the_relaxation_is_not_certain():
    cities, num = 12, 150  # more tours than are relaxed at a time
    labels = circles_and_others(num, cities)
    points = torch.as_tensor(labels.instance.coordinates)
    data = SUBPROBLEMS["TSP"](
        TSPInstance.euclidean(points), torch.as_tensor(labels.actions), doubtful=True
    )
    closed = torch.cat([points, points[:, :1]], dim=1).numpy()
    found = tree_shares.relax(closed, np.ones(closed.shape[:2], bool), 60).shares
    expected = set()
    for row, place in itertools.product(range(2 * num), range(cities)):
        shares = found[row, place].copy()
        if place == 0:
            shares += found[row, cities]
        shares[0] += shares[cities]  # the same city
        if ((shares[:-1] < CERTAIN) & (shares[:-1] > 1 - CERTAIN)).any():
            expected.add(row * cities + place)
    assert set(data.starts.tolist()) == expected
    assert min(expected) >= num * cities  # none of a circle
    draw = data.draw(torch.Generator().manual_seed(0), 2000)
    # Origins are such cities, turned or mirrored about the middle of the square.
    origins, cities_there = draw.instance.coordinates[:, 1], points.flatten(0, 1)[sorted(expected)]
    there, allowed = ((part - 0.5).abs().sort(dim=1).values for part in (origins, cities_there))
    assert torch.isclose(there[:, None], allowed[None]).all(dim=2).any(dim=1).all()


def test_where_infixes_begin_does_not_depend_on_the_tour():
    """Else labels that the relaxation finds unlikely would be drawn more often than they are."""
    labels = circles_and_others(40, 12)
    points = torch.as_tensor(labels.instance.coordinates)
    order = torch.from_numpy(np.random.default_rng(1).permutation(11)) + 1

    def starts(actions):
        data = SUBPROBLEMS["TSP"](TSPInstance.euclidean(points), actions, doubtful=True)
        tours = torch.nn.functional.pad(actions, (1, 0)).flatten()
        rows = torch.arange(80).repeat_interleave(12)
        return set(zip(rows[data.starts].tolist(), tours[data.starts].tolist(), strict=True))

    one, other = starts(torch.as_tensor(labels.actions)), starts(order.expand(80, 11))
    # But for the order that trees take cities in, they are the same.
    assert len(one ^ other) < 0.1 * len(one)


def test_tours_without_doubt_are_drawn_from_all_the_same():
    labels = circles_and_others(3, 12)
    circles = TSPInstance.euclidean(torch.as_tensor(labels.instance.coordinates[:3]))
    data = SUBPROBLEMS["TSP"](circles, torch.as_tensor(labels.actions[:3]), doubtful=True)
    assert len(data.starts) == 36


def test_few_certain_steps_are_learned_from():
    links = torch.zeros(26, 5, 5)
    links[:, 0, 2] = 1.0
    links[[4, 7, 25], 0, 2] = 0.6
    links[:, 1, 3] = 1.0  # not of the origin
    rest = torch.zeros(26, 5, 1)
    tail = Tail(rest, None, rest > 1, None, rest, links)
    # The certain ones of number 0, 10 and 20.
    assert worth_learning(tail).tolist() == [0, 4, 7, 12, 22, 25]
    some = tail.rows(torch.tensor([4, 25]))
    assert some.links[:, 0, 2].tolist() == [pytest.approx(0.6)] * 2
    assert len(worth_learning(tail.rows(torch.tensor([0])))) == 1


def test_an_update_is_of_steps_worth_learning(tmp_path):
    model = model_of("TSP", tmp_path, policy_kwargs=LINKED)
    data = model.subproblems(circles_and_others(40, 12))
    draw = data.draw(torch.Generator().manual_seed(3), 600)
    tail = model.policy.tail(draw.instance, draw.state)
    some = worth_learning(tail)
    assert 1 < len(some) < len(tail.links)
    assert len(data.starts) < 12 * 80  # infixes begin at doubtful cities
    with torch.no_grad():
        scores = model.policy.network(tail.rows(some))
        actions = tail.actions.flatten(1)[some]
        expected = losses.next_step(scores, actions, draw.targets[some]).mean().item()
    assert model.update(draw) == pytest.approx(expected, rel=1e-5)
