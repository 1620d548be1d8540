"""Where searches over decisions start, and what most problems cannot decode."""

import dataclasses

import numpy as np
import pytest

import or_envs
from or_envs import sample, simulate
from or_envs.core.actions import ActionChecker
from or_envs.core.problem import Problem
from tests.cases import every_case


@every_case
def test_it_is_legal_all_along(id, kwargs):
    problem = or_envs.make_problem(id, **kwargs)
    instance, exogenous = sample(problem, 0, 3)
    checker = ActionChecker(problem)
    if not checker.discrete:
        with pytest.raises(NotImplementedError, match="has no passive action"):
            problem.passive_action(instance, problem.initial(instance))
        return

    def first_legal(instance, state):
        """The default, which problems may replace."""
        first = Problem.passive_action(problem, instance, state)
        checker.in_space(first, 3)
        mask = problem.action_mask(instance, state)
        parts = first.reshape(3, -1)
        for component, (start, size) in enumerate(zip(checker.offsets, checker.sizes, strict=True)):
            for row in range(3):
                value = parts[row, component]
                legal = np.ones(size, dtype=bool)
                if mask is not None:
                    legal = mask[min(row, len(mask) - 1), start : start + size]
                assert legal[value] or not legal.any()
                assert not legal[:value].any()
        return first

    for rule in (first_legal, problem.passive_action):  # simulate refuses what is illegal
        rollout = simulate(problem, rule, instance, exogenous)
        assert rollout.actions.dtype == np.int64
        assert rollout.actions.shape[2:] == checker.shape


def test_machines_go_on_with_what_they_are_set_up_for():
    problem = or_envs.make_problem("or_envs/LotSizing-v0", instance="random", n_items=4)
    instance, _ = sample(problem, 0, 20)
    setup = np.random.default_rng(0).integers(0, 5, size=(20, 5))
    state = dataclasses.replace(problem.initial(instance), setup=setup)
    kept = problem.passive_action(instance, state)
    reached = set()
    for row, machine in np.ndindex(20, 5):
        item = setup[row, machine]
        can = item > 0 and instance.production[row, machine, item - 1] > 0
        assert kept[row, machine] == (item if can else 0)
        reached.add((item > 0, bool(can)))
    assert reached == {(False, False), (True, False), (True, True)}


def test_most_problems_cannot_be_decoded():
    problem = or_envs.make_problem("or_envs/TSP-v0")
    with pytest.raises(NotImplementedError, match="TSP cannot be decoded from observations"):
        problem.decode({})
