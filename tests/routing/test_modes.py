"""Both modes of all five problems are the same problem."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import or_envs
from or_envs.core import simulate
from tests.routing.helpers import best_reward, play_random

SIZES = {
    "TSP": "num_cities",
    "ATSP": "num_cities",
    "CVRP": "num_customers",
    "Orienteering": "num_customers",
    "Knapsack": "num_items",
}
#: Tight enough for something to be out of reach.
TIGHT = {"CVRP": {"capacity": 9}, "Orienteering": {"budget": 1.5}, "Knapsack": {"capacity": 1.2}}
every_problem = pytest.mark.parametrize("name", SIZES)


def both(name, size):
    kwargs = {SIZES[name]: size, **TIGHT.get(name, {})}
    return (
        or_envs.make_problem(f"or_envs/{name}-v0", mode=mode, **kwargs) for mode in ("bq", "direct")
    )


def in_direct_mode(name, problem, actions):
    """The same solution, as mode "direct" plays it."""
    if name in ("TSP", "ATSP"):
        return actions
    if name == "CVRP":
        nodes = []
        for action in actions:
            nodes += [0] * (action % 2) + [action // 2 + 1]
        return [*nodes, 0]
    stop = 0 if name == "Orienteering" else problem.num_items
    return [action for action in actions if action != stop] + [stop]


def brute_force(name, problem, instance):
    """Best objective by enumerating solutions, without the environment."""
    if name == "Knapsack":
        value, weight = instance.value[0], instance.weight[0]
        subsets = itertools.product((0, 1), repeat=len(value))
        packs = [np.array(s) for s in subsets if np.dot(s, weight) <= instance.capacity[0]]
        return max(float(value @ pack) for pack in packs)
    if name == "ATSP":
        distances = instance.distances[0]
    else:
        nodes = instance.coordinates[0]
        distances = np.sqrt(((nodes[:, None] - nodes[None]) ** 2).sum(axis=2))
    others = range(1, len(distances))

    def length(path):
        return sum(distances[a, b] for a, b in itertools.pairwise([0, *path, 0]))

    if name == "Orienteering":
        paths = itertools.chain.from_iterable(
            itertools.permutations(others, k) for k in range(len(distances))
        )
        budget = instance.budget[0] + 1e-6
        return max(sum(instance.prize[0][list(p)]) for p in paths if length(p) <= budget)
    if name == "CVRP":
        demand, capacity = instance.demand[0], instance.capacity[0]
        best = np.inf
        for order in itertools.permutations(others):
            for cuts in itertools.product((0, 1), repeat=len(order) - 1):
                ends = [0, *(k + 1 for k, cut in enumerate(cuts) if cut), len(order)]
                routes = [order[a:b] for a, b in itertools.pairwise(ends)]
                if all(demand[list(route)].sum() <= capacity for route in routes):
                    best = min(best, sum(length(route) for route in routes))
        return -best
    return -min(length(order) for order in itertools.permutations(others))


@every_problem
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(2, 12))
def test_a_solution_has_the_same_return_in_both_modes(name, seed, size):
    bq, direct = both(name, size)
    instance, _ = or_envs.sample(bq, seed, 1)
    played = play_random(bq, instance, seed)
    actions = played.actions[0].tolist()
    same = np.array([in_direct_mode(name, bq, actions)])
    replayed = simulate(direct, same, instance)
    np.testing.assert_allclose(replayed.total_reward, played.total_reward, rtol=1e-9)
    assert replayed.num_steps[0] == same.shape[1]
    play_random(direct, instance, seed)


@every_problem
@pytest.mark.parametrize("seed", range(2))
def test_exhaustive_search_in_both_modes_equals_brute_force(name, seed):
    bq, direct = both(name, 5)
    instance, _ = or_envs.sample(bq, seed, 1)
    expected = brute_force(name, bq, instance)
    assert best_reward(bq, instance) == pytest.approx(expected, rel=1e-9)
    assert best_reward(direct, instance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@every_problem
def test_exhaustive_search_with_seven_nodes_equals_brute_force(name):
    bq, _ = both(name, 7)
    instance, _ = or_envs.sample(bq, 0, 1)
    expected = brute_force(name, bq, instance)
    assert best_reward(bq, instance) == pytest.approx(expected, rel=1e-9)


def tail_after(problem, instance, actions):
    state = problem.initial(instance)
    for action in actions:
        post, _ = problem.post_decision(instance, state, np.array([action]))
        state, _, _ = problem.transition(instance, post, None)
    return problem.observation(instance, state)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("TSP", [1, 2, 3], [2, 1, 3]),
        ("ATSP", [1, 2, 3], [2, 1, 3]),
        ("CVRP", [0, 3, 5], [2, 1, 5]),  # customers 1 | 2 | 3 and 2 | 1 | 3
        ("Knapsack", [0, 1], [1, 0]),
    ],
)
def test_equal_tails_look_equal_in_mode_bq_only(name, one, other):
    bq, direct = (
        or_envs.make_problem(f"or_envs/{name}-v0", mode=mode, **{SIZES[name]: 6})
        for mode in ("bq", "direct")
    )
    instance, _ = or_envs.sample(bq, 0, 1)
    np.testing.assert_equal(tail_after(bq, instance, one), tail_after(bq, instance, other))
    seen = [
        tail_after(
            direct, instance, in_direct_mode(name, bq, actions)[:-1] if name == "CVRP" else actions
        )
        for actions in (one, other)
    ]
    assert (seen[0]["visits"] != seen[1]["visits"]).any()
