"""Formulations, relax-and-fix and rules of capacitated lot-sizing."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from baselines.capacitated_lot_sizing import factories
from baselines.capacitated_lot_sizing.formulations import (
    FacilityLocation,
    Milp,
    NaturalFormulation,
)
from baselines.capacitated_lot_sizing.relax_and_fix import RelaxAndFix
from baselines.capacitated_lot_sizing.rules import period_order_quantity
from baselines.common.random_rule import RandomRule
from baselines.common.solution import check_replay
from baselines.uncapacitated_lot_sizing import rules as uncapacitated
from baselines.uncapacitated_lot_sizing.wagner_whitin import WagnerWhitin
from or_envs.capacitated_lot_sizing.instances import CapacitatedLotSizingInstance
from or_envs.capacitated_lot_sizing.problem import CapacitatedLotSizing
from or_envs.core import sample, simulate
from or_envs.uncapacitated_lot_sizing.instances import UncapacitatedLotSizingInstance
from or_envs.uncapacitated_lot_sizing.problem import UncapacitatedLotSizing

RULES = (factories.lot_for_lot, factories.period_order_quantity, factories.silver_meal)


def cheapest(instance: CapacitatedLotSizingInstance) -> float:
    """Optimum over all sets of setups, with a linear program over x, s, z for each."""
    d, cap, a, tau, setup, holding, lost = (field[0] for field in instance.leaves())
    periods, n = d.shape
    size = periods * n
    eye, shift = np.eye(size), np.eye(size, k=-n)
    balance = np.hstack([eye, shift - eye, eye])  # x + s before - s + z = d
    per_period = np.kron(np.eye(periods), a[None, :])
    cost = np.concatenate([np.zeros(size), np.tile(holding, periods), np.tile(lost, periods)])
    best = np.inf
    for choice in itertools.product((0.0, 1.0), repeat=size):
        y = np.array(choice).reshape(periods, n)
        room = cap - y @ tau
        if (room < 0).any():
            continue
        bounds = [(0, 1e6 * open_) for open_ in choice] + [(0, None)] * (2 * size)
        result = linprog(
            cost,
            A_ub=np.hstack([per_period, np.zeros((periods, 2 * size))]),
            b_ub=room,
            A_eq=balance,
            b_eq=d.reshape(-1),
            bounds=bounds,
        )
        best = min(best, result.fun + (y @ setup).sum())
    return float(best)


@pytest.mark.parametrize("seed", range(4))
def test_optimum_is_the_best_of_all_setups(seed: int) -> None:
    problem = CapacitatedLotSizing(2, 3)
    instance, _ = sample(problem, seed, 1)
    instance = dataclasses.replace(
        instance,
        capacity=instance.capacity * np.array([[1.0, 0.6, 1.3]]),
        unit_time=np.array([[1.0, 1.5]]),
        holding_cost=np.array([[1.0, 2.5]]),
    )
    optimum = cheapest(instance)
    for formulation in ("natural", "facility_location"):
        solution = Milp(problem, formulation=formulation).solve(instance)  # type: ignore[arg-type]
        assert solution.status == "optimal"
        assert check_replay(problem, solution, instance) == pytest.approx(optimum)
        assert solution.bound == pytest.approx(optimum)


def test_formulations_agree_and_one_model_serves_many_instances() -> None:
    problem = CapacitatedLotSizing(3, 5)
    natural, strong = Milp(problem, formulation="natural"), Milp(problem)
    weak_lp = NaturalFormulation(3, 5, relaxed=True)
    strong_lp = FacilityLocation(3, 5, relaxed=True)
    window, whole = RelaxAndFix(problem), RelaxAndFix(problem, window=5)
    for seed in range(4):
        instance, _ = sample(problem, seed, 1)
        # Periods without demand, and one without the time for any setup.
        demand = np.where(instance.demand < 50, 0.0, instance.demand)
        capacity = instance.capacity.copy()
        capacity[0, 2] = 5.0
        instance = dataclasses.replace(instance, demand=demand, capacity=capacity)
        optimum = check_replay(problem, strong.solve(instance), instance)
        solution = natural.solve(instance)
        assert check_replay(problem, solution, instance) == pytest.approx(optimum)
        values = [model.solve(instance).objective for model in (weak_lp, strong_lp)]
        assert values[0] < values[1] <= optimum + 1e-6
        heuristic = window.solve(instance)
        assert optimum <= check_replay(problem, heuristic, instance) * (1 + 1e-9)
        assert values[1] - 1e-6 <= heuristic.bound <= optimum * (1 + 1e-9)
        exact = whole.solve(instance)
        assert check_replay(problem, exact, instance) == pytest.approx(optimum)


def test_one_item_with_ample_capacity_is_uncapacitated() -> None:
    """Optimum and rules are those of the uncapacitated problem."""
    many, one = UncapacitatedLotSizing(horizon=8), CapacitatedLotSizing(1, 8)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        demand = rng.integers(1, 100, (1, 8)).astype(float)
        plain = UncapacitatedLotSizingInstance(
            demand, np.full((1, 8), 180.0), np.zeros((1, 8)), np.ones((1, 8))
        )
        instance = CapacitatedLotSizingInstance(
            demand[:, :, None],
            np.full((1, 8), 1e4),
            np.ones((1, 1)),
            np.full((1, 1), 3.0),
            np.full((1, 1), 180.0),
            np.ones((1, 1)),
            np.full((1, 1), 1e3),
        )
        optimum = WagnerWhitin(many).solve(plain).objective
        assert Milp(one).solve(instance).objective == pytest.approx(optimum)
        for rule, same in (
            (factories.lot_for_lot, uncapacitated.lot_for_lot),
            (factories.silver_meal, uncapacitated.silver_meal),
        ):
            reward = simulate(one, rule(one, 0), instance).total_reward
            np.testing.assert_allclose(reward, simulate(many, same, plain).total_reward)


def test_rules_fit_the_capacity_and_beat_random_play() -> None:
    problem = CapacitatedLotSizing()
    instance, _ = sample(problem, 0, 100)
    random = simulate(problem, RandomRule(problem), instance).total_reward
    for factory in RULES:
        rollout = simulate(problem, factory(problem, 0), instance)
        assert (rollout.actions.sum(axis=2) <= 1 + 1e-9).all()
        assert rollout.total_reward.mean() > 0.6 * random.mean()
        again = simulate(problem, factory(problem, 0), instance.rows(np.array([7])))
        assert again.total_reward[0] == rollout.total_reward[7]  # rows do not interact


def test_capacity_repair_by_hand() -> None:
    """Capacity 100; item 1 saves 30 * 5 / 40 per time, item 2 20 * 8 / 60, so item 1 is first.

    It takes 40, item 2 the other 60 for (60 - 20) / 2 = 20 units. In period 2 there is time to
    spare.
    """
    problem = CapacitatedLotSizing(2, 2)
    instance = CapacitatedLotSizingInstance(
        demand=np.array([[[30.0, 25], [40, 10]]]),
        capacity=np.array([[100.0, 200]]),
        unit_time=np.array([[1.0, 2]]),
        setup_time=np.array([[10.0, 20]]),
        setup_cost=np.array([[50.0, 70]]),
        holding_cost=np.array([[1.0, 2]]),
        lost_sales_cost=np.array([[5.0, 8]]),
    )
    rollout = simulate(problem, factories.lot_for_lot(problem, 0), instance)
    np.testing.assert_allclose(rollout.actions, [[[0.4, 0.6], [50 / 200, 40 / 200]]])
    np.testing.assert_allclose(-rollout.rewards, [[120 + 5 * 8, 120]])


def test_time_left_over_is_used_ahead_of_a_shortage() -> None:
    """Period 2 needs 10 + 80 of 60: the 30 short are made in period 1, which has time."""
    problem = CapacitatedLotSizing(1, 2)
    instance = CapacitatedLotSizingInstance(
        demand=np.array([[[20.0], [80]]]),
        capacity=np.array([[100.0, 60]]),
        unit_time=np.ones((1, 1)),
        setup_time=np.full((1, 1), 10.0),
        setup_cost=np.full((1, 1), 50.0),
        holding_cost=np.ones((1, 1)),
        lost_sales_cost=np.full((1, 1), 9.0),
    )
    rollout = simulate(problem, factories.lot_for_lot(problem, 0), instance)
    np.testing.assert_allclose(rollout.actions[0, :, 0], [0.6, 1.0])
    np.testing.assert_allclose(-rollout.rewards, [[50 + 30, 50]])


def test_period_order_quantity_by_hand() -> None:
    """sqrt(2 * 900 / (1 * 50)) = 6, sqrt(2 * 200 / 50) = 2.83; with holding at nothing, all."""
    demand = np.full((1, 12, 3), 50.0)
    lengths = period_order_quantity(demand, np.array([[900.0, 200, 200]]), np.array([[1.0, 1, 0]]))
    assert lengths.tolist() == [[6, 3, 12]]


def test_the_time_limit_leaves_a_plan_that_replays() -> None:
    problem = CapacitatedLotSizing(6, 15)
    instance, _ = sample(problem, 0, 1)
    solution = Milp(problem, formulation="natural").solve(instance, time_limit=1.0)
    assert solution.status == "time_limit"
    assert solution.bound < check_replay(problem, solution, instance)


def test_bad_use_is_refused() -> None:
    with pytest.raises(ValueError, match=r"formulation.*'strong'"):
        Milp(CapacitatedLotSizing(), formulation="strong")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"window.*0"):
        RelaxAndFix(CapacitatedLotSizing(), window=0)
