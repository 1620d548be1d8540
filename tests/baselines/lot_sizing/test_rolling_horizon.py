from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.lot_sizing.dynamic_programming import optimal_policy
from baselines.lot_sizing.milp import LotSizingModel
from baselines.lot_sizing.rolling_horizon import RollingHorizon
from baselines.lot_sizing.scenario_tree import fan
from or_envs.core import sample, simulate
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState
from or_envs.lot_sizing.seasonal import SeasonalLotSizing
from or_envs.lot_sizing.sequence_dependent import SequenceDependentLotSizing

#: Small models of every mode, stopped by nothing that depends on the machine's speed.
MODES: dict[str, dict[str, Any]] = {
    "mean": {"horizon": 4},
    "two_stage": {"mode": "two_stage", "horizon": 3, "num_scenarios": 3},
    "multistage": {"mode": "multistage", "branching": (2, 2), "horizon": 3},
    "sampled tree": {"mode": "multistage", "branching": (2, 2), "selection": "sample"},
    "reference": {"mode": "multistage", "branching": (3, 1), "variant": "reference"},
}


def rule(problem: LotSizing, mode: str, seed: int = 0, **settings: Any) -> RollingHorizon:
    return RollingHorizon(problem, seed, **{**MODES[mode], "time_limit": None, **settings})


# ---- non-anticipativity and reproducibility -----------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(sorted(MODES)),
    st.sampled_from(["VI-A", "VI-B", "VI-C"]),
    st.integers(0, 4),
    st.integers(0, 10**6),
)
def test_traces_with_the_same_past_get_the_same_decisions(
    mode: str, name: str, known: int, seed: int
) -> None:
    problem = LotSizing(name, horizon=5)
    instance, demand = sample(problem, seed, 1)
    other = demand.demand.copy()
    other[:, known:] = np.random.default_rng(seed).integers(0, 9, other[:, known:].shape)

    def actions(trace: np.ndarray) -> np.ndarray:
        decide = rule(problem, mode, seed, node_limit=20)
        return simulate(problem, decide, instance, LotSizingDemand(trace)).actions[0]

    # Decision k is taken before demand k: the first known + 1 decisions are the same.
    first, second = actions(demand.demand), actions(other)
    assert np.array_equal(first[: known + 1], second[: known + 1])


@pytest.mark.parametrize("mode", MODES)
def test_decisions_react_to_demand(mode: str) -> None:
    problem = LotSizing("VI-C", horizon=6)
    instance, _ = sample(problem, 1, 1)
    little, much = (np.full((1, 6, 2), units) for units in (0.0, 4.0))
    played = [
        simulate(problem, rule(problem, mode), instance, LotSizingDemand(trace)).actions[0]
        for trace in (little, much)
    ]
    assert not np.array_equal(*played)


@pytest.mark.parametrize("mode", MODES)
def test_a_decision_depends_on_seed_instance_and_state_only(mode: str) -> None:
    """Not on other rows, on states decided before, or on the object that decides."""
    problem = LotSizing("VI-C", horizon=6)
    instance, _ = sample(problem, 0, 5)
    state = problem.initial(instance)
    state = dataclasses.replace(state, period=np.array([0, 5, 3, 0, 4]))
    used = rule(problem, mode, seed=3, node_limit=1)
    together = used(instance, state)
    for row in (4, 0, 2, 1, 3):
        index = np.array([row])
        one = instance.rows(index), state.rows(index)
        assert np.array_equal(used(*one)[0], together[row])
        assert np.array_equal(rule(problem, mode, seed=3, node_limit=1)(*one)[0], together[row])


def test_node_limits_stop_the_search_at_the_same_plan() -> None:
    problem = LotSizing("VI-C")
    instance, _ = sample(problem, 0, 1)
    state = problem.initial(instance)
    decide = rule(problem, "two_stage", horizon=5, num_scenarios=5)
    scenarios = decide.scenarios(instance, 0)
    models = [LotSizingModel(problem, instance, scenarios, end_cover=2.0) for _ in range(2)]
    models[1].solve(state, decide.scenarios(instance, 1), node_limit=1)  # another search before
    plans = [model.solve(state, scenarios, node_limit=1) for model in models]
    assert [plan.result.status for plan in plans] == ["node_limit"] * 2
    assert np.array_equal(plans[0].decisions, plans[1].decisions)
    assert plans[0].cost == plans[1].cost
    assert plans[0].result.objective == plans[1].result.objective
    assert plans[0].result.bound == plans[1].result.bound


# ---- scenarios ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["two_stage", "multistage", "sampled tree"])
def test_scenarios_belong_to_seed_and_period(mode: str) -> None:
    problem = LotSizing("15x5")
    instance, _ = sample(problem, 0, 2)

    def demand(seed: int, period: int) -> list[float]:
        return rule(problem, mode, seed).scenarios(instance, period).demand.ravel().tolist()

    assert demand(0, 0) == demand(0, 0)
    several = [demand(seed, period) for seed in range(3) for period in range(3)]
    assert len({tuple(values) for values in several}) == 9


def test_scenarios_are_not_what_an_episode_with_the_same_seed_draws() -> None:
    problem = LotSizing("15x5")
    _, demand = sample(problem, 5, 1)
    instance, _ = sample(problem, 5, 1)
    decide = rule(problem, "sampled tree", seed=5, branching=(50,))
    scenarios = decide.scenarios(instance, 0).demand
    assert not (scenarios[:, None] == demand.demand[0]).all(axis=2).any()
    # numpy's seeds s and (s, 0) are one: without a stream of its own, period 0 would meet them.
    draws = np.random.default_rng((5, 0)).random(3)
    assert np.array_equal(draws, np.random.default_rng(5).random(3))


def test_trees_expect_about_the_mean_demand() -> None:
    problem = LotSizing("15x5")
    instance, _ = sample(problem, 0, 1)
    for mode, tolerance in (("two_stage", 0.15), ("sampled tree", 0.2), ("multistage", 0.6)):
        expected = []
        for seed in range(40):
            scenarios = rule(problem, mode, seed).scenarios(instance, 0)
            for outcomes in scenarios.stages:
                assert scenarios.probability[outcomes].sum() == pytest.approx(1)
            first = scenarios.stages[0]
            expected.append(scenarios.probability[first] @ scenarios.demand[first])
        miss = np.abs(np.mean(expected, axis=0) - instance.mean_demand[0])
        assert miss.mean() < tolerance


def test_one_branch_and_one_scenario_are_the_mean() -> None:
    problem = LotSizing("VI-B", horizon=20)
    instance, _ = sample(problem, 0, 3)
    state = problem.initial(instance)
    one = instance.rows(np.array([0]))
    mean, branch, scenario = (
        RollingHorizon(problem, horizon=3, time_limit=None, mip_rel_gap=0.0, **settings)
        for settings in (
            {},
            {"mode": "multistage", "branching": (1,)},
            {"mode": "two_stage", "num_scenarios": 1},
        )
    )
    tree = mean.scenarios(one, 0)
    assert tree.demand == pytest.approx(np.repeat(one.mean_demand, 3, axis=0))
    for other in (branch, scenario):
        same = other.scenarios(one, 0)
        assert same.has_shape_of(tree)
        assert np.array_equal(same.demand, tree.demand)
        assert np.array_equal(other(instance, state), mean(instance, state))


def test_inflation_raises_the_mean() -> None:
    problem = LotSizing("VI-B")
    instance, _ = sample(problem, 0, 1)
    demand = RollingHorizon(problem, inflation=1.25).scenarios(instance, 0).demand
    assert demand == pytest.approx(1.25 * np.repeat(instance.mean_demand, 8, axis=0))


def test_knowing_more_costs_less() -> None:
    """One plan for all paths >= a tree >= the mean of plans that know their path."""
    problem = LotSizing("VI-C")
    instance, _ = sample(problem, 3, 1)
    state = problem.initial(instance)
    decide = rule(problem, "sampled tree", horizon=3, branching=(2, 2, 2))
    multistage = decide.scenarios(instance, 0)
    paths = []
    for leaf in multistage.leaves:
        outcomes = [leaf]
        while multistage.previous_outcome[outcomes[0]] >= 0:
            outcomes.insert(0, multistage.previous_outcome[outcomes[0]])
        paths.append(multistage.demand[outcomes])

    def optimum(scenarios: Any) -> float:
        return LotSizingModel(problem, instance, scenarios).solve(state, scenarios).result.objective

    two_stage, known = fan(np.stack(paths)), [fan(path[None]) for path in paths]
    values = optimum(two_stage), optimum(multistage), float(np.mean([optimum(p) for p in known]))
    assert values[0] > values[1] + 1e-3 > values[2] + 2e-3


# ---- what the model knows of the state ----------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("setup", [1, 2])
def test_the_current_setup_counts(mode: str, setup: int) -> None:
    problem = LotSizing("VI-A")
    instance, _ = sample(problem, 0, 1)
    zero = np.zeros(1, dtype=np.int64)
    state = LotSizingState(np.zeros((1, 2)), np.array([[setup]]), zero)
    # All four demand vectors, or a tree would prefer an item by chance.
    settings = {"branching": (4, 1)} if "branching" in MODES[mode] else {"num_scenarios": 12}
    assert rule(problem, mode, **settings)(instance, state).tolist() == [[setup]]
    # The instance's first setup does not.
    assert {1, 2} == {int(sample(problem, s, 1)[0].initial_setup[0, 0]) for s in range(8)}


def test_the_last_period_plans_for_nothing_beyond_it() -> None:
    problem = LotSizing("VI-A", horizon=10)
    instance, _ = sample(problem, 0, 1)

    def decision(period: int) -> int:
        state = LotSizingState(np.zeros((1, 2)), np.array([[0]]), np.array([period]))
        return int(RollingHorizon(problem, horizon=1)(instance, state)[0, 0])

    # Idle: 1 unit of demand on average is lost at 2. Make 2 units of one item: setup 1, lost 1,
    # holding 0.15, and the 1.5 units left are worth 2 each for up to a period's mean demand times
    # end_cover, unless it is the last period.
    assert decision(9) == 0
    assert decision(8) > 0


@pytest.mark.parametrize("mode", MODES)
def test_different_instances_in_a_batch(mode: str) -> None:
    problem = LotSizing("random", n_items=3, n_machines=1, horizon=5)
    instance, _ = sample(problem, 0, 6)
    # Stocks so low that every instance has something to make.
    state = dataclasses.replace(problem.initial(instance), inventory=np.zeros((6, 3)))
    together = rule(problem, mode)(instance, state)
    for row in range(6):
        one = np.array([row])
        alone = rule(problem, mode)(instance.rows(one), state.rows(one))[0]
        assert np.array_equal(alone, together[row])
    assert len(np.unique(together)) > 1


# ---- how good -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["VI-A", "VI-B", "VI-C"])
@pytest.mark.parametrize(
    "mode",
    [
        "mean",
        pytest.param("two_stage", marks=pytest.mark.slow),
        pytest.param("multistage", marks=pytest.mark.slow),
    ],
)
def test_it_is_near_the_optimum_where_that_is_known(name: str, mode: str) -> None:
    problem = LotSizing(name, horizon=20)
    instance, demand = sample(problem, 0, 5)
    decide = rule(problem, mode, horizon=4)
    cost = -simulate(problem, decide, instance, demand).total_reward.mean()
    optimum = -simulate(problem, optimal_policy(problem), instance, demand).total_reward.mean()
    assert cost < 1.15 * optimum


@pytest.mark.parametrize("mode", ["mean", "two_stage", "multistage"])
def test_no_time_for_branch_and_bound_still_gives_a_decision(mode: str) -> None:
    problem = LotSizing("15x5", horizon=2)
    instance, demand = sample(problem, 0, 1)
    simulate(problem, RollingHorizon(problem, mode=mode, time_limit=0.0), instance, demand)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", 0),
        ("mode", "stochastic"),
        ("num_scenarios", 0),
        ("branching", (4, 0)),
        ("branching", (101,)),
        ("selection", "nearest"),
        ("inflation", 0.0),
        ("variant", "published"),
    ],
)
def test_bad_arguments_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        RollingHorizon(LotSizing("VI-A"), **{name: value})


def test_problems_without_a_model_are_refused() -> None:
    with pytest.raises(ValueError, match="allow_invalid"):
        RollingHorizon(LotSizing("VI-A", allow_invalid=True))
    with pytest.raises(ValueError, match="stationary demand"):
        RollingHorizon(SeasonalLotSizing())
    with pytest.raises(ValueError, match="depend on the old setup"):
        RollingHorizon(SequenceDependentLotSizing())
