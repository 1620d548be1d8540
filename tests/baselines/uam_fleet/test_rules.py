"""Rules: by hand, and what they earn against the figures measured before this package."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.common.random_rule import RandomRule
from baselines.common.solution import check_replay
from baselines.uam_fleet.forecast import Forecast
from baselines.uam_fleet.genetic import GeneticHindsight, GeneticPolicy, OpenLoop, next_allowed
from baselines.uam_fleet.rolling_horizon import RollingHorizon, expected_minimum
from baselines.uam_fleet.rules import Greedy, LookAhead
from baselines.uam_fleet.tuned_linear import LinearScore, tune
from or_envs.core import Rule, sample, simulate
from or_envs.uam_fleet.problem import UAMFleet
from tests.uam_fleet.helpers import day, fleet

#: Mean profits of 100 days from the specification's throw-away prototype.
ANCHORS = {
    "default": (16_526, 32_910, 37_981),
    "det": (17_659, 34_097, 40_727),
    "paper2024": (16_395, 30_317, 30_308),
}


@pytest.mark.parametrize("preset", ANCHORS)
def test_anchors(preset: str) -> None:
    problem = UAMFleet(preset)
    days = sample(problem, 10_000, 100)
    rules: tuple[Rule, ...] = (
        RandomRule(problem),
        Greedy(problem, "rate", 3),
        Greedy(problem, "rate"),
    )
    for rule, anchor in zip(rules, ANCHORS[preset], strict=True):
        assert simulate(problem, rule, *days).total_reward.mean() == pytest.approx(anchor, rel=0.03)


def test_anchors_of_ref2022() -> None:
    problem = UAMFleet("ref2022")
    days = sample(problem, 10_000, 100)
    for rule, profit, decisions in (
        (RandomRule(problem), 30_292, 292),
        (Greedy(problem, "profit"), 38_658, 201),
        (Greedy(problem, "rate"), 38_826, 202),
    ):
        rollout = simulate(problem, rule, *days)
        assert rollout.total_reward.mean() == pytest.approx(profit, rel=0.03)
        assert rollout.num_steps.mean() == pytest.approx(decisions, rel=0.02)


def test_greedy_attains_the_fourth_hand_case() -> None:
    problem = fleet(aircraft=2)
    instance, tape = day(problem, {(0, 0, 1): 6, (1, 1, 0): 2}, (0, 1))
    for rule in (Greedy(problem, "profit"), Greedy(problem, "rate")):
        assert simulate(problem, rule, instance, tape).total_reward[0] == pytest.approx(166.8)


def test_waiting_for_full_aircraft() -> None:
    problem = fleet()
    instance, tape = day(problem, {(0, 0, 1): 2, (1, 0, 1): 2})
    assert simulate(problem, Greedy(problem, "rate", 3), instance, tape).total_reward[
        0
    ] == pytest.approx(118.4)
    assert simulate(problem, Greedy(problem, "rate"), instance, tape).total_reward[
        0
    ] == pytest.approx(70 - 21.6)


def test_looking_ahead_goes_where_passengers_will_be() -> None:
    """From A, B and C pay the same, but from C a full flight leads back."""
    positions = ((0.0, 0.0), (20.0, 0.0), (0.0, 20.0))
    problem = fleet(positions)
    passengers = {(0, 0, 1): 2, (0, 0, 2): 2, (3, 2, 0): 4}
    instance, tape = day(problem, passengers, positions=positions)
    greedy = simulate(problem, Greedy(problem, "rate"), instance, tape)
    ahead = simulate(problem, LookAhead(problem), instance, tape)
    assert greedy.actions[0, 0] == 1
    assert ahead.actions[0, 0] == 2
    assert ahead.total_reward[0] == pytest.approx(48.4 + 118.4)


def test_forecast() -> None:
    problem = fleet(patience=2)
    instance, _ = day(problem, {(2, 1, 0): 3, (3, 1, 0): 2, (4, 1, 0): 7})
    state = problem.initial(instance)
    forecast = Forecast(problem)
    minutes = np.array([[15.0, 45.7]])
    bins = forecast.arrival_bin(state, minutes)
    assert bins.tolist() == [[1, 3]]
    assert forecast.waiting(instance, state, bins)[0, 1].tolist() == [5, 0]
    late = forecast.arrival_bin(state, np.array([[719.0, 720.0]]))
    assert late.tolist() == [[47, 48]]
    assert not forecast.waiting(instance, state, late)[0, 1].any()


def test_tuned_weights_beat_the_greedy_rule_on_their_own_days() -> None:
    problem = UAMFleet("tiny")
    rule = tune(problem, 0, num_episodes=20, population=20, generations=6)
    assert set(rule.settings) == {"minutes", "value", "inbound"}
    days = sample(problem, 0, 200)
    tuned = simulate(problem, rule, *days).total_reward
    greedy = simulate(problem, Greedy(problem, "rate"), *days).total_reward
    assert tuned.mean() > greedy.mean()
    again = tune(problem, 0, num_episodes=20, population=20, generations=6)
    assert again.settings == rule.settings
    assert isinstance(rule, LinearScore)


def test_genes_are_repaired_to_the_next_allowed_destination() -> None:
    mask = np.array([[True, False, False, True], [False, True, False, False]])
    assert next_allowed(mask, np.array([1, 2])).tolist() == [3, 1]
    problem = UAMFleet("tiny")
    instance, tape = sample(problem, 0, 2)
    genes = np.tile([1, 2], (2, 10))
    rule = OpenLoop(problem, genes)
    first = simulate(problem, rule, instance, tape)
    again = simulate(problem, rule, instance, tape)  # the count starts anew with the day
    np.testing.assert_array_equal(first.actions, again.actions)


@pytest.mark.parametrize("settings", [{}, {"block": 8}, {"start": "greedy"}])
def test_genetic_search_in_hindsight(settings: dict[str, object]) -> None:
    problem = UAMFleet("tiny")
    instance, tape = sample(problem, 2, 1)
    solver = GeneticHindsight(problem, 0, population=30, generations=15, **settings)
    solution = solver.solve(instance, tape)
    profit = -check_replay(problem, solution, instance, tape)
    random = simulate(problem, RandomRule(problem), *sample(problem, 2, 1)).total_reward[0]
    assert profit > random
    if "start" in settings:
        greedy = simulate(problem, Greedy(problem, "rate"), instance, tape).total_reward[0]
        assert profit >= greedy - 1e-9
    assert solution.bound is None
    with pytest.raises(ValueError, match="exogenous"):
        solver.solve(instance)


def test_genetic_search_without_hindsight_earns_less() -> None:
    problem = UAMFleet("tiny", max_expected_delay=6.0, delay_deviation=6.0)
    instance, tape = sample(problem, 5, 2)
    policy = GeneticPolicy(problem, 0, population=20, generations=10, num_tapes=3)
    blind = simulate(problem, policy, instance, tape).total_reward
    again = simulate(problem, policy, instance, tape).total_reward
    np.testing.assert_array_equal(blind, again)
    knowing = [
        -GeneticHindsight(problem, 0, population=20, generations=10)
        .solve(instance.rows(np.array([row])), tape.rows(np.array([row])))
        .objective
        for row in range(2)
    ]
    assert np.mean(knowing) > blind.mean()


def test_rolling_horizon_beats_the_greedy_rule() -> None:
    problem = UAMFleet("tiny")
    instance, tape = sample(problem, 20, 3)
    rule = RollingHorizon(problem, minutes=120)
    rolling = simulate(problem, rule, instance, tape).total_reward
    greedy = simulate(problem, Greedy(problem, "rate"), instance, tape).total_reward
    assert rolling.mean() > greedy.mean()
    np.testing.assert_array_equal(rolling, simulate(problem, rule, instance, tape).total_reward)


def test_expected_boarding() -> None:
    rng = np.random.default_rng(0)
    mean, limit = np.array([0.0, 0.7, 5.0]), np.array([0, 4, 8])
    drawn = rng.poisson(mean, (200_000, 3))
    for place, most in enumerate(limit):
        expected = np.minimum(drawn, most).mean(axis=0)
        assert expected_minimum(mean, limit)[:, place] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: Greedy(p, "rate", -1), "min_passengers: expected an integer >= 0, got -1"),
        (lambda p: GeneticHindsight(p, start="bid_price"), "start: expected 'random' or 'greedy'"),
        (lambda p: GeneticHindsight(p, block=0), "block: expected an integer >= 1, got 0"),
        (lambda p: GeneticHindsight(p, block=9, start="greedy"), "start: 'greedy' is for all"),
        (lambda p: RollingHorizon(p, minutes=5), "minutes: expected an integer >= 15, got 5"),
        (lambda p: tune(p, population=3), "population: expected an integer >= 5, got 3"),
    ],
)
def test_bad_arguments(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(UAMFleet("tiny"))  # type: ignore[operator]
