from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from baselines.common.solution import check_replay
from baselines.lot_sizing.dynamic_programming import optimal_policy
from baselines.lot_sizing.milp import LotSizingModel, PerfectInformation
from baselines.lot_sizing.plans import play, start_plans
from baselines.lot_sizing.scenario_tree import ScenarioTree, fan, tree
from or_envs.core import sample, simulate
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand


def all_plans(problem: LotSizing, instance, decisions: int) -> np.ndarray:
    shape = (problem.n_machines, problem.n_items + 1)
    mask = problem.action_mask(instance, problem.initial(instance)).reshape(shape)
    period = list(itertools.product(*(np.flatnonzero(row) for row in mask)))
    return np.array(list(itertools.product(period, repeat=decisions)))


def cheapest(
    problem: LotSizing, instance, demand: LotSizingDemand, reference: bool = False
) -> float:
    """Optimum over all plans, every one of them played; "reference": that let nothing vanish."""
    plans = all_plans(problem, instance, problem.horizon)
    rows = np.zeros(len(plans), dtype=np.int64)
    rollout = simulate(problem, plans, instance.rows(rows), demand.rows(rows))
    costs = -rollout.total_reward
    if reference:
        path = fan(demand.demand)
        outcomes = play(problem, instance, problem.initial(instance), path, plans)
        costs[outcomes.overflow.any(axis=(1, 2))] = np.inf
    return float(costs.min())


@pytest.mark.parametrize("periods", [1, 2, 3, 4])
def test_exact_is_the_best_of_all_plans_on_forced_demand(periods: int) -> None:
    problem = LotSizing("VI-A", horizon=periods)
    solver = PerfectInformation(problem)
    rng = np.random.default_rng(periods)
    for seed in range(6):
        instance, _ = sample(problem, seed, 1)
        demand = LotSizingDemand(rng.integers(0, 4, (1, periods, 2)).astype(float))
        solution = solver.solve(instance, demand)
        assert solution.status == "optimal"
        assert solution.objective == pytest.approx(cheapest(problem, instance, demand), abs=1e-6)


def test_exact_is_the_best_of_all_plans_with_two_machines(small) -> None:
    for seed in range(6):
        problem, instance, demand = small(seed, horizon=3)
        solution = PerfectInformation(problem).solve(instance, demand)
        assert solution.objective == pytest.approx(cheapest(problem, instance, demand), abs=1e-6)


def test_a_changeover_loses_no_more_than_the_output() -> None:
    problem = LotSizing("VI-A", horizon=3)
    instance = dataclasses.replace(
        sample(problem, 0, 1)[0],
        production=np.array([[[2.0, 0.0]]]),
        setup_loss=np.array([[[4.0, 0.0]]]),
        initial_inventory=np.zeros((1, 2)),
        initial_setup=np.array([[0]]),
    )
    demand = LotSizingDemand(np.array([[[2.0, 0.0]] * 3]))
    solution = PerfectInformation(problem).solve(instance, demand)
    # Set up (1) and make nothing, so lose 2 units at 2 each; then meet demand for nothing.
    assert check_replay(problem, solution, instance, demand) == pytest.approx(5)
    assert solution.actions.tolist() == [[1], [1], [1]]


def overflow(problem: LotSizing, solution, instance, demand) -> float:
    """Units that vanish above the caps when the plan is played."""
    state, units = problem.initial(instance), 0.0
    for action, period in zip(solution.actions, demand.demand[0], strict=True):
        state, _ = problem.post_decision(instance, state, action[None])
        left = np.maximum(state.inventory - period, 0)
        units += float(np.maximum(left - instance.max_inventory, 0).sum())
        state, _, _ = problem.transition(instance, state, LotSizingDemand(period[None]))
    return units


def test_reference_is_the_best_plan_that_lets_nothing_vanish(small) -> None:
    dearer = 0
    for seed in range(6):
        problem, instance, demand = small(seed, horizon=3)
        solution = PerfectInformation(problem, variant="reference").solve(instance, demand)
        best = cheapest(problem, instance, demand, reference=True)
        assert check_replay(problem, solution, instance, demand) == pytest.approx(best, abs=1e-6)
        assert overflow(problem, solution, instance, demand) == 0
        assert solution.bound is None
        dearer += best > cheapest(problem, instance, demand) + 1e-6
    assert dearer  # or the restriction would not be tested


def test_exact_plans_replay_between_relaxed_and_reference(small) -> None:
    overflowed = below = above = 0
    cases = [small(seed) for seed in range(4)]
    for name, seed in itertools.product(("VI-A", "VI-B", "VI-C"), range(3)):
        problem = LotSizing(name, horizon=6)
        cases.append((problem, *sample(problem, seed, 1)))
    for problem, instance, demand in cases:
        exact, relaxed, reference = (
            PerfectInformation(problem, variant=variant).solve(instance, demand)
            for variant in ("exact", "relaxed", "reference")
        )
        assert exact.status == relaxed.status == reference.status == "optimal"
        cost = check_replay(problem, exact, instance, demand)
        assert exact.bound == pytest.approx(cost, abs=1e-6)
        assert relaxed.bound == pytest.approx(relaxed.objective, abs=1e-6)
        assert relaxed.objective <= cost + 1e-6
        assert relaxed.actions is None
        assert cost <= check_replay(problem, reference, instance, demand) + 1e-6
        overflowed += overflow(problem, exact, instance, demand) > 0
        below += relaxed.objective < cost - 1e-3
        above += reference.objective > cost + 1e-3
    assert overflowed  # or the cases would not test the flag f
    assert below
    assert above


def example_trees(n: int, seed: int) -> list[ScenarioTree]:
    """Small trees (three decisions) with unequal probabilities and a fan."""
    rng = np.random.default_rng(seed)
    units = rng.integers(0, 6, (3, 3, n)).astype(float)
    certain = (units[0, :1], np.ones(1))
    likely = (units[1, :2], np.array([0.3, 0.7]))
    return [tree([likely, (units[2], np.array([0.5, 0.1, 0.4]))]), tree([certain] * 3), fan(units)]


@pytest.mark.parametrize("end_cover", [0.0, 1.5])
@pytest.mark.parametrize("variant", ["exact", "reference"])
def test_on_trees_too_the_plan_is_the_best_of_all(small, variant, end_cover: float) -> None:
    for seed in range(4):
        problem, instance, _ = small(seed, horizon=3)
        state = problem.initial(instance)
        plans = all_plans(problem, instance, 3)
        for scenarios in example_trees(3, seed):
            model = LotSizingModel(problem, instance, scenarios, variant, end_cover=end_cover)
            plan = model.solve(state, scenarios)
            outcomes = play(problem, instance, state, scenarios, plans)
            worth = np.minimum(outcomes.stock, end_cover * 2.0)  # Binomial(5, 0.4) has mean 2
            leaves, rho = scenarios.leaves, instance.lost_sales_cost[0]
            value = np.einsum("boi,i,o->b", worth[:, leaves], rho, scenarios.probability[leaves])
            costs = outcomes.cost - value
            if variant == "reference":
                costs = costs[~outcomes.overflow.any(axis=(1, 2))]
            assert plan.result.status == "optimal"
            # HiGHS's own account, and that of playing its plan.
            assert plan.result.objective == pytest.approx(costs.min(), abs=1e-6)
            assert plan.cost == pytest.approx(costs.min(), abs=1e-6)


def test_on_trees_relaxed_is_a_bound_that_can_be_missed(small) -> None:
    missed = 0
    for seed in range(4):
        problem, instance, _ = small(seed, horizon=3)
        state = problem.initial(instance)
        for scenarios in example_trees(3, seed):
            relaxed, exact = (
                LotSizingModel(problem, instance, scenarios, variant).solve(state, scenarios)
                for variant in ("relaxed", "exact")
            )
            assert relaxed.result.objective <= exact.cost + 1e-6
            assert relaxed.cost >= exact.cost - 1e-6
            missed += relaxed.result.objective < exact.cost - 1e-3
    assert missed


def test_one_model_serves_new_data_and_refuses_new_shapes(small) -> None:
    problem, instance, _ = small(0, horizon=3)
    state = problem.initial(instance)
    first, path, _ = example_trees(3, 0)
    model = LotSizingModel(problem, instance, first)
    for seed in range(4):
        scenarios = example_trees(3, seed)[0]
        fresh = LotSizingModel(problem, instance, scenarios).solve(state, scenarios)
        again = model.solve(state, scenarios)
        assert again.result.objective == pytest.approx(fresh.result.objective, abs=1e-6)
    with pytest.raises(ValueError, match="shape"):
        model.solve(state, path)


def test_one_solver_serves_many_traces_as_new_ones_do() -> None:
    problem = LotSizing("VI-C", horizon=5)
    solver = PerfectInformation(problem)
    for seed in range(4):
        instance, demand = sample(problem, seed, 1)
        again = solver.solve(instance, demand)
        fresh = PerfectInformation(problem).solve(instance, demand)
        assert again.objective == pytest.approx(fresh.objective, abs=1e-6)


def test_a_solver_notices_other_data_and_other_lengths() -> None:
    problem = LotSizing("random", n_items=2, n_machines=1, horizon=3)
    solver = PerfectInformation(problem)
    for seed in range(3):
        instance, demand = sample(problem, seed, 1)
        check_replay(problem, solver.solve(instance, demand), instance, demand)
    longer = LotSizing("random", n_items=2, n_machines=1, horizon=4)
    instance, demand = sample(longer, 0, 1)
    check_replay(longer, solver.solve(instance, demand), instance, demand)


def test_perfect_information_is_worth_something_but_bounds_the_optimum() -> None:
    problem = LotSizing("VI-A", horizon=5)
    num = 200
    instance, demand = sample(problem, 0, num)
    values = optimal_policy(problem).value(problem.initial(instance))
    solver = PerfectInformation(problem)
    rows = [np.array([row]) for row in range(num)]
    costs = np.array([solver.solve(instance.rows(r), demand.rows(r)).objective for r in rows])
    difference = costs - values
    error = difference.std(ddof=1) / np.sqrt(num)
    assert difference.mean() <= 3 * error
    assert costs.mean() > 0.3 * values.mean()  # a model that is too free would not be


def test_the_time_limit_returns_bound_and_a_plan_no_worse_than_greedy() -> None:
    problem = LotSizing("15x5", horizon=40)
    instance, demand = sample(problem, 0, 1)
    solution = PerfectInformation(problem).solve(instance, demand, time_limit=0.5)
    assert solution.status == "time_limit"
    cost = check_replay(problem, solution, instance, demand)
    path, state = fan(demand.demand), problem.initial(instance)
    starts = play(problem, instance, state, path, start_plans(problem, instance, state, path))
    assert cost <= starts.cost.min() + 1e-6
    assert solution.bound is None or solution.bound < cost
    assert solution.seconds < 30


def test_bad_use_is_refused() -> None:
    problem = LotSizing("VI-A")
    with pytest.raises(ValueError, match="exogenous"):
        PerfectInformation(problem).solve(sample(problem, 0, 1)[0])
    with pytest.raises(ValueError, match="variant"):
        PerfectInformation(problem, variant="published")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="allow_invalid"):
        PerfectInformation(LotSizing("VI-A", allow_invalid=True))
