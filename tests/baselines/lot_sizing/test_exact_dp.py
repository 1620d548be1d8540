from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from baselines.lot_sizing.dynamic_programming import ExactDP, OptimalValue, optimal_policy
from or_envs.core import sample, simulate
from or_envs.lot_sizing.problem import LotSizing, LotSizingState

NAMES = ("VI-A", "VI-B", "VI-C")
#: V(0,0;0), V(0,0;1), V(0,0;2), V(cap,cap;0) and the mean over all states, discount 0.9.
DISCOUNTED = {
    "VI-A": (8.409095, 7.316286, 7.316286, 6.523336, 6.271692),
    "VI-B": (44.060690, 44.060690, 43.214701, 99.864759, 56.006000),
    "VI-C": (164.273716, 157.083953, 157.083953, 116.909364, 115.723619),
}
#: V(0,0;0), discount 0.99.
PATIENT = {"VI-A": 66.296203, "VI-B": 381.796966, "VI-C": 1464.280614}
#: V(0,0;0), undiscounted, by horizon.
FINITE = {
    "VI-A": {1: 2.0, 2: 3.25, 3: 3.8125, 10: 8.356917, 100: 66.207347},
    "VI-B": {1: 9.642, 2: 14.031542, 3: 17.503640, 10: 43.930716, 100: 381.582984},
    "VI-C": {1: 25.011, 2: 44.157721, 3: 60.018538, 10: 163.244653, 100: 1459.296504},
}
#: Long-run average cost per period.
AVERAGE = {"VI-A": 0.642807, "VI-B": 3.751692, "VI-C": 14.399710}


def build(name: str) -> ExactDP:
    problem = LotSizing(name)
    return ExactDP(problem, sample(problem, 0, 1)[0])


def state(inventory: list[float], setup: int, period: int = 0) -> LotSizingState:
    return LotSizingState(np.array([inventory]), np.array([[setup]]), np.array([period]))


@pytest.mark.parametrize("name", NAMES)
def test_discounted_values(name: str) -> None:
    dp = build(name)
    policy = dp.discounted(0.9)
    cap = dp.instance.max_inventory[0].tolist()
    asked = [state([0, 0], 0), state([0, 0], 1), state([0, 0], 2), state(cap, 0)]
    values = [policy.value(s)[0] for s in asked]
    assert [*values, policy.values.mean()] == pytest.approx(DISCOUNTED[name], abs=1e-6)
    assert policy.values.size == 3 * (cap[0] + 1) ** 2
    assert dp.discounted(0.99).value(asked[0])[0] == pytest.approx(PATIENT[name], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_finite_horizon_values(name: str) -> None:
    dp = build(name)
    values = {t: dp.finite_horizon(t).value(state([0, 0], 0))[0] for t in FINITE[name]}
    assert values == pytest.approx(FINITE[name], abs=1e-6)
    long = dp.finite_horizon(400)
    # Values of successive horizons differ by the average cost in the long run.
    assert np.ptp(long.values[0] - long.values[1]) < 1e-6
    assert (long.values[0] - long.values[1])[0] == pytest.approx(AVERAGE[name], abs=1e-6)


def test_first_actions() -> None:
    for name, best in (("VI-A", {1, 2}), ("VI-B", {2}), ("VI-C", {1, 2})):
        dp = build(name)
        assert dp.finite_horizon(100)(dp.instance, state([0, 0], 0))[0, 0] in best


def test_by_hand() -> None:
    dp = build("VI-A")
    # T = 1: idle loses 2 (1/2) 2; T = 2: make item 1 (2.15), then idle (1.05 or 1.15).
    one = dp.finite_horizon(1)
    assert one(dp.instance, state([0, 0], 0)).tolist() == [[0]]
    assert one.value(state([1, 0], 1))[0] == pytest.approx(0.1 * 0.5 + 1)
    assert one.value(state([2, 0], 1))[0] == pytest.approx(0.1 * 1.5 + 1)
    two = dp.finite_horizon(2)
    assert two.value(state([0, 0], 0))[0] == pytest.approx(2.15 + (1.05 + 1.15) / 2)
    assert two(dp.instance, state([0, 0], 0, period=0))[0, 0] in (1, 2)
    assert two(dp.instance, state([1, 0], 1, period=1)).tolist() == [[0]]
    # After a last period nothing is to pay.
    assert two.value(state([0, 0], 0, period=2))[0] == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_optimal_policy_costs_its_value(name: str) -> None:
    problem = LotSizing(name, horizon=20)
    instance, demand = sample(problem, 3, 2000)
    policy = optimal_policy(problem)
    costs = -simulate(problem, policy, instance, demand).total_reward
    difference = costs - policy.value(problem.initial(instance))
    assert abs(difference.mean()) <= 3 * difference.std() / np.sqrt(len(difference))


def test_two_machines_against_scenario_enumeration(tmp_path) -> None:
    """V of a two-machine instance, T = 2, by enumerating decisions and demands recursively."""
    from or_envs.lot_sizing.instances import to_json
    from or_envs.lot_sizing.problem import LotSizingDemand

    small = dataclasses.replace(
        sample(LotSizing("VI-A"), 0, 1)[0],
        production=np.array([[[2.0, 1], [0, 3]]]),
        setup_cost=np.array([[[0.5, 0.7], [1, 0.4]]]),
        setup_loss=np.array([[[1.0, 2], [1, 1]]]),
        max_inventory=np.array([[2.0, 3]]),
        initial_inventory=np.zeros((1, 2)),
        initial_setup=np.array([[2, 0]]),
    )
    law = {"name": "probability_mass_function", "vals": [0, 2], "probs": [0.3, 0.7]}
    path = tmp_path / "two.json"
    path.write_text(to_json(small, 2, law))
    problem = LotSizing(str(path))
    instance, _ = sample(problem, 0, 1)
    allowed = [(a, b) for a in (0, 1, 2) for b in (0, 2)]
    outcomes = [(d, e, p * q) for d, p in ((0, 0.3), (2, 0.7)) for e, q in ((0, 0.3), (2, 0.7))]

    def value(s: LotSizingState, periods: int) -> float:
        if periods == 0:
            return 0.0
        best = np.inf
        for action in allowed:
            post, reward = problem.post_decision(instance, s, np.array([action]))
            cost = -reward[0]
            for d, e, probability in outcomes:
                demand = LotSizingDemand(np.array([[d, e]], dtype=float))
                after, outcome, _ = problem.transition(instance, post, demand)
                cost += probability * (-outcome[0] + value(after, periods - 1))
            best = min(best, cost)
        return best

    start = LotSizingState(np.zeros((1, 2)), np.array([[2, 0]]), np.zeros(1, dtype=np.int64))
    policy = ExactDP(problem, instance).finite_horizon(2)
    assert policy.value(start)[0] == pytest.approx(value(start, 2), abs=1e-12)


def test_optimal_value_is_a_bound_for_the_start_state() -> None:
    problem = LotSizing("VI-A", horizon=3)
    instance, _ = sample(problem, 0, 1)
    forced = dataclasses.replace(
        instance, initial_inventory=np.zeros((1, 2)), initial_setup=np.array([[0]])
    )
    solution = OptimalValue(problem).solve(forced)
    assert solution.objective == solution.bound == pytest.approx(3.8125)
    assert solution.actions is None
    assert solution.status == "optimal"
    with pytest.raises(ValueError, match="instance"):
        OptimalValue(problem).solve(dataclasses.replace(forced, setup_cost=2 * forced.setup_cost))


def test_large_instances_are_refused() -> None:
    problem = LotSizing("15x5")
    with pytest.raises(ValueError, match="state-action pairs"):
        ExactDP(problem, sample(problem, 0, 1)[0])
    with pytest.raises(ValueError, match="one fixed instance"):
        optimal_policy(LotSizing("random", n_items=2, n_machines=1))


def test_fractional_stock_is_refused() -> None:
    dp = build("VI-A")
    with pytest.raises(ValueError, match="whole units"):
        dp.finite_horizon(2)(dp.instance, state([0.5, 0], 0))
    halves = dataclasses.replace(dp.instance, production=dp.instance.production + 0.5)
    with pytest.raises(ValueError, match="production"):
        ExactDP(dp.problem, halves)


def test_bad_discounts_are_refused() -> None:
    with pytest.raises(ValueError, match="discount"):
        build("VI-A").discounted(1.0)
