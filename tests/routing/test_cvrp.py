"""The CVRP: lengths of episodes, bounds, and routes by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import or_envs
from or_envs.routing.cvrp import CVRP, CVRPInstance
from tests.routing.helpers import best_reward, play_random


def routes_of(actions):
    """Routes of the actions of mode "bq"."""
    routes = []
    for step, action in enumerate(actions):
        if step == 0 or action % 2:
            routes.append([])
        routes[-1].append(action // 2 + 1)
    return routes


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(9, 30))
def test_return_is_the_length_of_routes_that_fit(seed, size, capacity):
    problem = CVRP(size, capacity=capacity)
    instance, _ = or_envs.sample(problem, seed, 1)
    played = play_random(problem, instance, seed)
    assert played.num_steps[0] == size
    routes = routes_of(played.actions[0].tolist())
    assert sorted(itertools.chain.from_iterable(routes)) == list(range(1, size + 1))
    demand, nodes = instance.demand[0], instance.coordinates[0]
    assert all(demand[route].sum() <= capacity for route in routes)
    ways = (nodes[[0, *route]] - nodes[[*route, 0]] for route in routes)
    length = sum(np.sqrt((way**2).sum(axis=1)).sum() for way in ways)
    assert -played.total_reward[0] == pytest.approx(length, rel=1e-12)
    assert len(routes) >= np.ceil(demand.sum() / capacity)
    away = np.sqrt(((nodes - nodes[0]) ** 2).sum(axis=1))
    assert length >= 2 / capacity * demand @ away - 1e-9


def test_direct_mode_takes_a_step_per_customer_and_per_route():
    problem = CVRP(10, capacity=12, mode="direct")
    instance, _ = or_envs.sample(problem, 2, 1)
    played = play_random(problem, instance, 0)
    actions = played.actions[0, : played.num_steps[0]]
    assert actions[-1] == 0
    assert played.num_steps[0] == 10 + (actions == 0).sum()
    assert ((actions[1:] != 0) | (actions[:-1] != 0)).all()


def test_a_tail_is_served_as_well_whatever_came_before():
    """After either order of the first two customers, best completions cost the same."""
    problem = CVRP(5, capacity=40)
    instance, _ = or_envs.sample(problem, 4, 1)
    tails = []
    for first in ([0, 2, 4], [2, 0, 4]):
        state = problem.initial(instance)
        for action in first:
            state, _ = problem.post_decision(instance, state, np.array([action]))
        tails.append(state)
    for leaf, other in zip(tails[0].leaves(), tails[1].leaves(), strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_the_way_by_the_depot_is_best_though_the_load_is_enough():
    """One customer in the west, then two in the east with a full vehicle."""
    nodes = np.array([[(0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (1.0, 0.1)]])
    instance = CVRPInstance.euclidean(nodes, np.ones((1, 3)), np.array([2.0]))
    problem = CVRP(3)
    state, _ = problem.post_decision(instance, problem.initial(instance), np.array([0]))
    assert problem.action_mask(instance, state).tolist() == [[False, False, True, True, True, True]]
    rollout = or_envs.simulate(problem, np.array([[0, 3, 4]]), instance)
    best = 2 + 1 + 0.1 + np.sqrt(1.01)
    assert -rollout.total_reward[0] == pytest.approx(best)
    assert -best_reward(problem, instance) == pytest.approx(best)
