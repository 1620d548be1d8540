"""The search over decisions: its values are the problem's, its optima are optima."""

import itertools

import numpy as np
import pytest

from agents.common.post_decision_search import PostDecisionSearch
from or_envs import make_problem, sample
from or_envs.core.actions import ActionChecker
from or_envs.core.batch import cast

CASES = [
    ("or_envs/LotSizing-v0", {"instance": "VI-B"}),
    ("or_envs/LotSizing-v0", {"instance": "15x5", "finite_horizon": True}),
    ("or_envs/LotSizing-v0", {"instance": "15x5", "allow_invalid": True}),
    # Every row has machines of its own, so a mask of its own.
    ("or_envs/LotSizing-v0", {"instance": "random", "n_items": 4, "n_machines": 3}),
    ("or_envs/SequenceDependentLotSizing-v0", {"instance": "random", "n_items": 3}),
    ("or_envs/UncapacitatedLotSizing-v0", {}),
    ("or_envs/TSP-v0", {"num_cities": 6}),
    ("or_envs/PostDecisionLake-v0", {}),
]
every_case = pytest.mark.parametrize(("id", "kwargs"), CASES, ids=lambda part: str(part))
SCALE = 0.3


def curved(seen):
    """A critic without structure that a search could profit from; row by row, in float64."""
    parts = seen if isinstance(seen, dict) else {"": seen}
    value = 0.0
    for key in sorted(parts):
        flat = parts[key].reshape(len(parts[key]), -1).astype(np.float64)
        weights = np.cos(np.arange(flat.shape[1]) * 1.7 + len(key))
        value = value + np.sin(3 * (flat * weights).sum(axis=1))  # components interact
        value = value + (np.sin(3 * flat + weights) * weights).sum(axis=1)
    return np.round(value, 5)  # float32 observations of the kernels may differ in the last bit


def somewhere(problem, num=7, steps=2, seed=0):
    """Instances, states that random play has led to, and random legal decisions."""
    instance, exogenous = sample(problem, seed, num)
    checker, rng = ActionChecker(problem), np.random.default_rng(seed)
    state = problem.initial(instance)
    for step in range(steps + 1):
        mask = problem.action_mask(instance, state)
        action = checker.sample(mask, num, rng)
        if step < steps:
            post, _ = problem.post_decision(instance, state, action)
            now = None
            if exogenous is not None:
                now = problem.exogenous_at(exogenous, np.full(num, step))
            state, _, _ = problem.transition(instance, post, now)
    return instance, state, action


def q_value(problem, instance, state, action):
    """Q by the definition: r^x + V^x of the post-decision state."""
    post, reward = problem.post_decision(instance, state, action)
    seen = cast(problem.observation_space, problem.observation(instance, post))
    return SCALE * np.asarray(reward) + curved(seen)


def neighbours(problem, instance, state, action):
    """(B, sum of sizes): Q of every change of one component, one call per decision."""
    sizes = ActionChecker(problem).sizes
    mask = problem.action_mask(instance, state)
    values = np.full((state.num, sizes.sum()), -np.inf)
    column = 0
    for component, size in enumerate(sizes):
        for value in range(size):
            changed = np.array(action)
            changed.reshape(state.num, -1)[:, component] = value
            values[:, column] = q_value(problem, instance, state, changed)
            column += 1
    if mask is not None:
        values[~np.broadcast_to(mask, values.shape)] = -np.inf
    return values


def copies(*trees):
    return [np.array(leaf) for tree in trees for leaf in tree.leaves()]


@every_case
def test_values_are_those_of_the_problem(id, kwargs):
    problem = make_problem(id, **kwargs)
    instance, state, action = somewhere(problem)
    search = PostDecisionSearch(problem, curved, SCALE)
    expected = neighbours(problem, instance, state, action)
    found = search.all_values(instance, state, action)
    assert len(np.unique(found[np.isfinite(found)])) >= 5  # else all tests would be idle
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(
        search.values(instance, state, action),
        q_value(problem, instance, state, action),
        atol=2e-5,
    )
    columns = np.split(np.arange(found.shape[1]), np.cumsum(search.sizes)[:-1])
    for component, part in enumerate(columns):
        one = search.component_values(instance, state, action, component)
        np.testing.assert_array_equal(one, found[:, part])


def test_masks_differ_between_rows():
    problem = make_problem(CASES[3][0], **CASES[3][1])
    instance, state, action = somewhere(problem)
    legal = np.isfinite(PostDecisionSearch(problem, curved).all_values(instance, state, action))
    np.testing.assert_array_equal(legal, problem.action_mask(instance, state))
    assert not legal.all()
    assert (legal != legal[0]).any()


@every_case
def test_improvement_is_monotone_and_ends_in_a_coordinate_wise_optimum(id, kwargs):
    problem = make_problem(id, **kwargs)
    instance, state, action = somewhere(problem)
    search = PostDecisionSearch(problem, curved, SCALE)
    before, start = copies(instance, state), action.copy()
    previous = search.values(instance, state, action)
    for sweeps in (1, 2, 3, 30):
        improved, best = search.improve(instance, state, action, sweeps)
        assert improved.shape == action.shape
        assert (best >= previous).all()
        np.testing.assert_allclose(best, search.values(instance, state, improved), atol=2e-5)
        previous = best
    around = neighbours(problem, instance, state, improved)
    np.testing.assert_allclose(around.max(axis=1), best, atol=2e-5)
    assert (best > search.values(instance, state, action)).any()
    # Inputs are as they were.
    np.testing.assert_array_equal(action, start)
    for old, new in zip(before, copies(instance, state), strict=True):
        np.testing.assert_array_equal(old, new)
    # The end of the ascent is where it stays, also when asked for more.
    again, same = search.improve(instance, state, improved, 3)
    np.testing.assert_array_equal(again, improved)
    np.testing.assert_array_equal(same, best)


@every_case
def test_rows_do_not_interact(id, kwargs):
    problem = make_problem(id, **kwargs)
    instance, state, action = somewhere(problem)
    search = PostDecisionSearch(problem, curved, SCALE)
    improved, best = search.improve(instance, state, action, 3)
    for row in range(state.num):
        one = np.array([row])
        alone = search.improve(instance.rows(one), state.rows(one), action[one], 3)
        np.testing.assert_array_equal(alone[0][0], improved[row])
        np.testing.assert_allclose(alone[1][0], best[row], atol=2e-5)


@pytest.mark.parametrize(("id", "kwargs"), [CASES[0], CASES[5], CASES[6], CASES[7]])
def test_one_component_is_searched_exactly_in_one_sweep(id, kwargs):
    problem = make_problem(id, **kwargs)
    instance, state, action = somewhere(problem)
    _, best = PostDecisionSearch(problem, curved, SCALE).improve(instance, state, action, 1)
    expected = neighbours(problem, instance, state, action).max(axis=1)
    np.testing.assert_allclose(best, expected, atol=2e-5)


def test_separable_values_are_searched_exactly():
    """Where machines do not interact one sweep finds the best of all joint decisions."""
    problem = make_problem(CASES[3][0], **CASES[3][1])
    instance, state, action = somewhere(problem)
    stock = problem.n_items

    def separable(seen):
        return 50.0 * seen[:, :stock].sum(axis=1)

    search = PostDecisionSearch(problem, separable)
    _, best = search.improve(instance, state, np.zeros_like(action), 1)
    mask = problem.action_mask(instance, state)
    expected = np.full(state.num, -np.inf)
    for one in itertools.product(*map(range, search.sizes)):
        chosen = np.tile(np.array(one), (state.num, 1))
        value = search.values(instance, state, chosen)
        legal = np.ones(state.num, dtype=bool)
        for machine, item in enumerate(one):
            legal &= mask[:, machine * (problem.n_items + 1) + item]
        expected = np.where(legal, np.maximum(expected, value), expected)
    np.testing.assert_allclose(best, expected, atol=1e-4)


class Counting:
    def __init__(self):
        self.seen = 0

    def __call__(self, seen):
        self.seen += len(seen)
        return np.zeros(len(seen))


def test_ties_change_nothing_and_cost_one_sweep():
    """A change that is no better is not made, and one sweep shows that none is."""
    problem = make_problem("or_envs/LotSizing-v0", instance="15x5")
    instance, state, _ = somewhere(problem)
    critic = Counting()
    kept = problem.passive_action(instance, state)
    chosen, best = PostDecisionSearch(problem, critic).improve(instance, state, kept, 10)
    np.testing.assert_array_equal(chosen, kept)
    np.testing.assert_array_equal(best, 0.0)
    legal = np.broadcast_to(problem.action_mask(instance, state), (state.num, 80))
    assert critic.seen == legal.sum()


def test_several_sweeps_find_what_one_does_not():
    problem = make_problem("or_envs/LotSizing-v0", instance="15x5")
    instance, state, action = somewhere(problem, num=20)
    search = PostDecisionSearch(problem, curved)
    _, once = search.improve(instance, state, action, 1)
    _, often = search.improve(instance, state, action, 10)
    assert (often > once + 1e-3).any()


def test_forbidden_values_are_left():
    problem = make_problem("or_envs/LotSizing-v0", instance="15x5")
    instance, state, _ = somewhere(problem)
    mask = np.broadcast_to(problem.action_mask(instance, state), (state.num, 80))
    illegal = np.stack([part.argmin(axis=1) for part in np.split(mask, 5, axis=1)], axis=1)
    assert ActionChecker(problem).masked(mask, illegal).all()
    chosen, best = PostDecisionSearch(problem, curved).improve(instance, state, illegal, 1)
    assert ActionChecker(problem).masked(mask, chosen) is None
    assert np.isfinite(best).all()


def test_final_states_have_no_decision():
    """Rules are also asked about episodes that are over; nothing is legal there."""
    problem = make_problem("or_envs/TSP-v0", num_cities=4)
    instance, state, action = somewhere(problem, steps=3)
    assert not problem.action_mask(instance, state).any()
    chosen, best = PostDecisionSearch(problem, curved).improve(instance, state, action, 2)
    np.testing.assert_array_equal(chosen, action)
    np.testing.assert_array_equal(best, -np.inf)


def test_what_is_refused():
    lot = make_problem("or_envs/LotSizing-v0", instance="VI-B")
    instance, state, action = somewhere(lot)
    with pytest.raises(ValueError, match="max_sweeps: expected an integer >= 1, got 0"):
        PostDecisionSearch(lot, curved).improve(instance, state, action, 0)
    box = make_problem("or_envs/CapacitatedLotSizing-v0")
    with pytest.raises(ValueError, match=r"action_space: expected Discrete or MultiDiscrete, got"):
        PostDecisionSearch(box, curved)
