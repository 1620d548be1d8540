from __future__ import annotations

import numpy as np
import pytest

from baselines.lot_sizing.plans import START_RULES, play, start_plans
from baselines.lot_sizing.rules import GreedyCover
from baselines.lot_sizing.scenario_tree import fan, tree
from or_envs.core import simulate
from or_envs.core.actions import ActionChecker
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState


def random_plans(problem: LotSizing, instance, num: int, decisions: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = problem.action_mask(instance, problem.initial(instance))
    played = ActionChecker(problem).sample(mask, num * decisions, rng)
    return played.reshape(num, decisions, -1)


def cost(problem: LotSizing, plan: np.ndarray, instance, demand: np.ndarray) -> float:
    """Cost of one path (T, n) by the environment's own account."""
    rollout = simulate(problem, plan[None], instance, LotSizingDemand(demand[None]))
    return -float(rollout.total_reward[0])


def output(instance, plan: np.ndarray) -> np.ndarray:
    """Units (T, n) that a plan makes, by hand."""
    made = np.zeros((len(plan), instance.production.shape[2]))
    setup = instance.initial_setup[0]
    for t, action in enumerate(plan):
        for m, item in enumerate(action):
            if item:
                units = instance.production[0, m, item - 1]
                loss = instance.setup_loss[0, m, item - 1] if item != setup[m] else 0
                made[t, item - 1] += max(units - loss, 0)
        setup = action
    return made


def test_plans_on_paths_do_what_they_do_when_simulated(small) -> None:
    overflowed = lost = False
    for seed in range(5):
        problem, instance, demand = small(seed)
        plans = random_plans(problem, instance, 4, problem.horizon, seed)
        outcomes = play(problem, instance, problem.initial(instance), fan(demand.demand), plans)
        for number, plan in enumerate(plans):
            value = cost(problem, plan, instance, demand.demand[0])
            assert outcomes.cost[number] == pytest.approx(value)
            stock = np.concatenate([instance.initial_inventory, outcomes.stock[number]])
            sold = demand.demand[0] - outcomes.lost[number]
            gone = sold + outcomes.overflow[number]
            assert np.diff(stock, axis=0) + gone == pytest.approx(output(instance, plan))
        overflowed |= bool(outcomes.overflow.any())
        lost |= bool(outcomes.lost.any())
    assert overflowed
    assert lost


def test_plans_cost_on_fans_the_mean_of_their_paths(small) -> None:
    for seed in range(3):
        problem, instance, _ = small(seed)
        demand = np.random.default_rng(seed).integers(0, 6, (3, problem.horizon, 3)).astype(float)
        plan = random_plans(problem, instance, 1, problem.horizon, seed)
        outcomes = play(problem, instance, problem.initial(instance), fan(demand), plan)
        paths = [cost(problem, plan[0], instance, path) for path in demand]
        assert outcomes.cost[0] == pytest.approx(np.mean(paths))


def test_plans_cost_on_trees_the_expectation_over_their_paths(small) -> None:
    problem, instance, _ = small(1, horizon=3)
    rng = np.random.default_rng(0)
    stages = [
        (rng.integers(0, 6, (b, 3)).astype(float), rng.dirichlet(np.ones(b))) for b in (3, 1, 2)
    ]
    whole = tree(stages)
    plan = random_plans(problem, instance, 1, len(whole.previous_decision), 0)
    expected = 0.0
    for leaf in whole.leaves:
        outcomes = [leaf]
        while whole.previous_outcome[outcomes[0]] >= 0:
            outcomes.insert(0, whole.previous_outcome[outcomes[0]])
        path = plan[0, whole.decision[outcomes]]
        expected += whole.probability[leaf] * cost(problem, path, instance, whole.demand[outcomes])
    value = play(problem, instance, problem.initial(instance), whole, plan).cost[0]
    assert value == pytest.approx(expected)


def test_start_plans_are_idleness_and_what_greedy_rules_play() -> None:
    problem = LotSizing("15x5", horizon=8)
    for seed in range(2):
        instance, demand = (
            problem.sample_instances([np.random.default_rng(seed)]),
            np.random.default_rng(seed).integers(4, 13, (1, 8, 15)).astype(float),
        )
        plans = start_plans(problem, instance, problem.initial(instance), fan(demand))
        assert not plans[0].any()
        for number in (0, 7, 23):
            rule = GreedyCover(*START_RULES[number])
            played = simulate(problem, rule, instance, LotSizingDemand(demand)).actions[0]
            assert np.array_equal(plans[1 + number], played)


def test_start_plans_on_a_tree_know_the_demand_before_them(small) -> None:
    problem, instance, _ = small(2, horizon=3)
    stages = [(np.array([[0.0, 0, 0], [5, 5, 5]]), np.array([0.5, 0.5]))] * 3
    whole = tree(stages)
    plans = start_plans(problem, instance, problem.initial(instance), whole)
    rule = GreedyCover(*START_RULES[0])
    for leaf in whole.leaves:
        outcomes = [leaf]
        while whole.previous_outcome[outcomes[0]] >= 0:
            outcomes.insert(0, whole.previous_outcome[outcomes[0]])
        demand = LotSizingDemand(whole.demand[outcomes][None])
        played = simulate(problem, rule, instance, demand).actions[0]
        assert np.array_equal(plans[1, whole.decision[outcomes]], played)


def test_a_start_plan_of_a_fan_sees_expected_stock() -> None:
    problem = LotSizing("VI-A", horizon=2)
    instance = problem.sample_instances([np.random.default_rng(0)])
    state = problem.initial(instance)
    # Demand 0 or 4 leaves 0 or more; the rule has to find one plan for both.
    demand = np.array([[[0.0, 0], [0, 0]], [[4.0, 4], [0, 0]]])
    plans = start_plans(problem, instance, state, fan(demand))
    middle = np.stack(
        [play(problem, instance, state, fan(path[None]), plans).stock for path in demand]
    )
    mean = middle[:, 1, 0].mean(axis=0)
    rule = GreedyCover(*START_RULES[0])
    here = LotSizingState(mean[None], plans[1, 0][None], np.array([1]))
    assert np.array_equal(rule(instance, here)[0], plans[1, 1])
