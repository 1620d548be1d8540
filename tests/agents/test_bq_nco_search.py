"""BQ-NCO: searches with its policy."""

import numpy as np
import pytest
import torch

import baselines.registration
import or_envs
from agents.bq_nco.search import beam, construct, decoder, many_starts, reconstruct
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSPInstance
from tests.agents.bq_nco_cases import best_solution, model_of, problem_of


def test_a_wide_beam_is_exhaustive(tmp_path):
    model = model_of("TSP", tmp_path)
    problem = problem_of("TSP")
    instance, _ = or_envs.sample(problem, 9, 5)
    found = beam(model.policy, problem, instance.to_torch("cpu", torch.float64), 120)
    best = [best_solution(problem, instance.rows(np.array([row])))[0] for row in range(5)]
    np.testing.assert_allclose(found.total_reward, best, rtol=1e-9)


@pytest.mark.parametrize("width", [1, 3])
def test_reconstruction_never_lengthens(width, tmp_path):
    model = model_of("TSP", tmp_path)
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=12)
    instance, _ = or_envs.sample(problem, 0, 6)
    data = instance.to_torch("cpu", torch.float64)
    tours = torch.stack([1 + torch.randperm(11, generator=torch.Generator().manual_seed(k))
                         for k in range(6)])  # fmt: skip
    lengths = [or_envs.simulate(problem, tours.numpy(), instance).total_reward]
    for iterations in (5, 50):
        rng = torch.Generator().manual_seed(1)
        found = reconstruct(model.policy, data, tours, iterations, rng, width=width)
        replayed = or_envs.simulate(problem, found.actions.numpy(), instance).total_reward
        np.testing.assert_allclose(found.total_reward, replayed, rtol=1e-9)
        lengths.append(replayed)
    assert (lengths[1] >= lengths[0] - 1e-9).all()
    assert (lengths[2] >= lengths[0] - 1e-9).all()
    assert lengths[2].mean() > lengths[0].mean()


def test_reconstruction_by_beams_that_hold_everything_is_optimal(tmp_path):
    """Of segments of up to 6 of 6 cities, so that only the two cities at the cut are fixed."""
    model = model_of("TSP", tmp_path)
    problem = problem_of("TSP")
    instance, _ = or_envs.sample(problem, 0, 6)
    found = decoder("reconstruct:60:24", model.policy, problem)(
        instance.to_torch("cpu", torch.float64)
    )
    best = [best_solution(problem, instance.rows(np.array([row])))[0] for row in range(6)]
    np.testing.assert_allclose(found.total_reward, best, rtol=1e-9)


def test_both_ends_go_on_where_the_policy_is_surer(tmp_path):
    model = model_of("TSP", tmp_path)
    model.learn(3000)
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=9)
    instance, _ = or_envs.sample(problem, 0, 8)
    data = instance.to_torch("cpu", torch.float32)
    found = decoder("both_ends", model.policy, problem)(data)
    replayed = or_envs.simulate(problem, found.actions.numpy(), instance)
    np.testing.assert_allclose(found.total_reward, replayed.total_reward, rtol=1e-5)
    sides = set()
    for row in range(8):
        ways = ([0], [0])
        while len(ways[0]) + len(ways[1]) < 10:
            options = []
            for side in (0, 1):
                rest = [k for k in range(1, 9) if k not in ways[0] + ways[1]]
                nodes = [ways[1 - side][-1], ways[side][-1], *rest]
                path = TSPInstance.euclidean(data.coordinates[row, nodes][None])
                remaining = torch.arange(len(nodes))[None] > 1
                empty = torch.zeros((1, 0), dtype=torch.long)
                state = TourState(torch.tensor([1]), remaining, empty, remaining.sum(dim=1))
                scores, actions = model.policy.scores(path, state)
                chance, place = scores[0].softmax(dim=0).max(dim=0)
                options.append((chance.item(), -side, nodes[actions[0, place]]))
            _, side, city = max(options)
            ways[-side].append(city)
            sides.add(side)
        assert found.actions[row].tolist() == ways[0][1:] + ways[1][:0:-1]
    assert sides == {0, -1}


def test_many_starts_are_tours_from_city_0(tmp_path):
    model = model_of("TSP", tmp_path)
    problem = problem_of("TSP")
    instance, _ = or_envs.sample(problem, 0, 6)
    data = instance.to_torch("cpu", torch.float64)
    found = many_starts(model.policy, data, 6)
    replayed = or_envs.simulate(problem, found.actions.numpy(), instance).total_reward
    np.testing.assert_allclose(found.total_reward, replayed, rtol=1e-9)
    greedy = construct(model.policy, problem, data)
    assert (found.total_reward >= greedy.total_reward - 1e-9).all()


@pytest.mark.parametrize("name", ["TSP", "CVRP", "Orienteering"])
def test_the_best_of_eight_symmetries_is_a_solution(name, tmp_path):
    model = model_of(name, tmp_path)
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 0, 6)
    data = instance.to_torch("cpu", torch.float64)
    found = decoder("symmetries", model.policy, problem)(data)
    replayed = or_envs.simulate(problem, np.maximum(found.actions.numpy(), 0), instance)
    np.testing.assert_allclose(found.total_reward, replayed.total_reward, rtol=1e-9)
    greedy = decoder("greedy", model.policy, problem)(data)
    assert (found.total_reward >= greedy.total_reward - 1e-9).all()
    # The untrained network answers differently to a mirrored instance.
    assert (found.total_reward > greedy.total_reward + 1e-9).any()


@pytest.mark.parametrize("name", ["TSP", "ATSP", "CVRP", "Orienteering"])
def test_nearest_nodes_only(name, tmp_path):
    model = model_of(name, tmp_path)
    problem = problem_of(name)
    instance, _ = or_envs.sample(problem, 0, 6)
    data = instance.to_torch("cpu", torch.float64)
    greedy = decoder("greedy", model.policy, problem)(data)
    everything = decoder("nearest:9", model.policy, problem)(data)
    np.testing.assert_array_equal(everything.actions, greedy.actions)
    one = decoder("nearest:1", model.policy, problem)(data)
    replayed = or_envs.simulate(problem, np.maximum(one.actions.numpy(), 0), instance)
    np.testing.assert_allclose(one.total_reward, replayed.total_reward, rtol=1e-9)
    if name in ("TSP", "ATSP"):
        rule = baselines.registration.make("routing/nearest_neighbour", problem)
        expected = or_envs.simulate(problem, rule, instance)
        np.testing.assert_array_equal(one.actions, expected.actions)


@pytest.mark.parametrize(
    ("problem", "name", "message"),
    [
        ("TSP", "beam", "expected greedy, beam:W"),
        ("TSP", "beam:0", "numbers >= 1"),
        ("TSP", "beam:2:3", "expected greedy, beam:W"),
        ("TSP", "reconstruct:9:2:1", "reconstruct:I:W"),
        ("TSP", "greedy:3", "expected greedy"),
        ("TSP", "oracle", "got 'oracle'"),
        ("CVRP", "starts:3", "for TSP only, got CVRP"),
        ("ATSP", "both_ends", "for TSP only, got ATSP"),
        ("TSP", "both_ends:2", "expected greedy"),
        ("Knapsack", "nearest:3", "for TSP, CVRP, Orienteering, ATSP only, got Knapsack"),
        ("ATSP", "symmetries", "for TSP, CVRP, Orienteering only, got ATSP"),
    ],
)
def test_wrong_decoders_are_named(problem, name, message, tmp_path):
    model = model_of(problem, tmp_path)
    with pytest.raises(ValueError, match=message):
        decoder(name, model.policy, problem_of(problem))
