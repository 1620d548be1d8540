"""Time-tables and pictures."""

import numpy as np
import pytest

import or_envs
from or_envs.core.env import Env
from or_envs.uam_fleet.problem import UAMFleet
from or_envs.uam_fleet.report import report, timetable
from tests.uam_fleet.helpers import day, fleet, play_random


def test_a_timetable_fills_the_time_of_every_aircraft():
    problem = UAMFleet("tiny", max_failure=0.5, max_expected_delay=6.0, delay_deviation=3.0)
    env = Env(problem, render_mode="rgb_array")
    env.reset(seed=3)
    over = False
    rng = np.random.default_rng(0)
    while not over:
        action = rng.choice(np.flatnonzero(env.action_masks()))
        _, _, over, _, _ = env.step(action)
    episode = env._recorder.episode
    bars = timetable(problem, env.instance, [*episode.states, env.state], episode.actions)
    assert {bar.doing for bar in bars} >= {"delay", "flight", "charge", "repair", "stay"}
    for aircraft in range(4):
        end = 0.0
        for bar in (bar for bar in bars if bar.aircraft == aircraft):
            assert bar.start == pytest.approx(end)
            assert bar.minutes >= 0
            end = bar.start + bar.minutes
        assert end == pytest.approx(env.state.ready[0, aircraft])
    assert env.render().shape == (600, 900, 3)


def test_the_report_of_a_day_by_hand():
    problem = fleet()
    instance, tape = day(problem, {(0, 0, 1): 4, (3, 1, 0): 3, (5, 0, 1): 2})
    actions = np.array([[1, 0, *[0] * 50]])
    figures = report(problem, actions, instance, tape)
    expected = {
        "profit": 201.8,
        "revenue": 245.0,
        "electricity": 17.6,
        "operating": 25.6,
        "arrived": 9,
        "served": 7,
        "expired": 2,
        "waiting": 0,
        "flights": 2,
        "empty_flights": 0,
        "load_factor": 7 / 8,
        "utilisation": 2 * 28.107 / 720,
        "mean_wait": 3 * 0.707 / 7,
        "decisions": 44,
        "stays": 42,
        "forced_stays": 0,
        "closures": 0,
        "delay": 0,
        "downtime": 0,
    }
    for name, value in expected.items():
        assert getattr(figures, name)[0] == pytest.approx(value, abs=2e-3), name
    with pytest.raises(ValueError, match="2 steps given, but days go on"):
        report(problem, actions[:, :2], instance, tape)


def test_reports_of_a_batch_and_of_one_day_agree():
    problem = UAMFleet(num_aircraft=6, day=240)
    instance, tape = or_envs.sample(problem, 0, 5)
    rollout = play_random(problem, instance, tape)
    together = report(problem, rollout.actions, instance, tape)
    for row in range(5):
        one = np.array([row])
        alone = report(problem, rollout.actions[one], instance.rows(one), tape.rows(one))
        for name in ("profit", "served", "mean_wait", "delay", "downtime", "closures"):
            assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[row]), name
