"""The commands that make the agent of the fleet and its table, on a little of the work."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

import or_envs
from agents.gnn_ppo.demonstrations import Demonstrations
from baselines.uam_fleet.tuned_linear import weighted_prices
from benchmarks import uam_fleet_models, uam_fleet_table
from benchmarks.demonstrations import PreferringRule, make_demonstrations
from benchmarks.uam_fleet_table import (
    AGENT,
    ENV,
    GENETIC,
    REFERENCE,
    RULES,
    TUNED,
    Days,
    line,
    read,
    write,
)


def test_days_are_files(tmp_path):
    known = {
        ("default", "a"): Days(np.array([1.0, 2.5]), 3.0, 7),
        ("K = 20", "b"): Days(np.array([4.0]), 1.0, 2),
    }
    path = tmp_path / "days.json"
    assert read(path) == {}
    write(path, known)
    again = read(path)
    assert again.keys() == known.keys()
    for key, days in known.items():
        np.testing.assert_array_equal(again[key].profit, days.profit)
        assert (again[key].seconds, again[key].decisions) == (days.seconds, days.decisions)


def test_a_line_by_hand():
    reference = Days(np.array([10.0, 20.0]), 1.0, 10)
    days = Days(np.array([13.0, 23.0, 90.0]), 6.0, 100)
    row = line("default", "rule", days, reference)
    assert row == ["default", "rule", 3, "42", "42", "14", "3", "3", "3", "2", "60"]
    assert line("default", REFERENCE, reference, reference)[6:9] == ["", "", ""]


def tiny(**changes):
    settings = {"num_tapes": 1, "step": 15.0}
    kwargs = {"preset": "tiny"}
    return PreferringRule(ENV, kwargs, "uam_fleet/weighted_bid_price", settings, **changes)


def test_demonstrations_are_what_the_rule_prefers(tmp_path):
    problem = or_envs.make_problem(ENV, preset="tiny").compiled()
    found = tiny(explore=0.0, repeats=2, temperature=5.0).play(7, 3)
    assert found.instance.num == 6
    played = or_envs.simulate(
        problem, np.maximum(found.actions, 0), found.instance, found.exogenous
    )
    rule = weighted_prices(problem, num_tapes=1, step=15.0)
    again = or_envs.simulate(problem, rule, found.instance, found.exogenous)
    np.testing.assert_allclose(played.total_reward, again.total_reward)
    # Two days of an instance have luck of their own.
    assert found.instance.demand[0] == pytest.approx(found.instance.demand[1])
    assert (found.exogenous.arrivals[0] != found.exogenous.arrivals[1]).any()
    decisions = found.replay(problem)
    assert (decisions.targets.argmax(axis=1) == decisions.actions).mean() > 0.999
    state = problem.initial(found.instance)
    scores = rule.scores(found.instance, state) / 5.0
    scores = np.where(problem.action_mask(found.instance, state), scores, -np.inf)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(decisions.targets[:6], shares, rtol=1e-5)


def test_who_strays_is_told_the_way_back():
    found = tiny(explore=0.5).play(7, 3)
    problem = or_envs.make_problem(ENV, preset="tiny").compiled()
    decisions = found.replay(problem)
    assert 0.4 < (decisions.targets.argmax(axis=1) == decisions.actions).mean() < 0.95


def test_files_hold_all_blocks(tmp_path):
    demonstrator = tiny(explore=0.0)
    make_demonstrations(demonstrator, 5, tmp_path / "days.npz", seed=7, block=2)
    assert not (tmp_path / "days.parts").exists()
    problem = demonstrator.problem()
    found = Demonstrations.load(tmp_path / "days.npz", problem)
    whole = demonstrator.play(7, 5)
    np.testing.assert_array_equal(found.actions, whole.actions)
    np.testing.assert_allclose(found.preferences, whole.preferences, rtol=1e-3)
    bad = tmp_path / "bad.npz"
    dataclasses.replace(whole, preferences=whole.preferences[..., :2]).save(bad)
    with pytest.raises(ValueError, match=r"preferences has shape \(5, .*, 2\), expected"):
        Demonstrations.load(bad, problem)


@pytest.mark.slow
def test_the_model_is_made_from_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uam_fleet_table, "SETTINGS", {"default": {"preset": "tiny"}})
    small = uam_fleet_models.Model(
        {"preset": "tiny"},
        "uam_fleet/weighted_bid_price",
        {"num_tapes": 1},
        (100, 200),
        10_000,
        {"dev_instances": 4, "n_envs": 4, "n_steps": 32},
    )
    monkeypatch.setitem(uam_fleet_models.MODELS, "default", small)
    arguments = ["default", "--output", str(tmp_path), "--fraction", "0.02", "--workers", "1"]
    uam_fleet_models.main(arguments)
    text = (tmp_path / "default" / "table.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["contestant"] for row in rows] == [*RULES, TUNED, GENETIC, AGENT]
    days = json.loads((tmp_path / "results" / "uam-fleet-days.json").read_text())
    assert len(days["default"][REFERENCE]["profit"]) == 2
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repeats": 0}, "repeats: expected an integer >= 1, got 0"),
        ({"explore": 1.5}, r"explore: expected a number in \[0, 1\], got 1.5"),
        ({"temperature": 0.0}, "temperature: expected a number > 0, got 0.0"),
    ],
)
def test_wrong_demonstrators_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_wrong_arguments_are_refused(capsys):
    with pytest.raises(SystemExit):
        uam_fleet_table.main(["nowhere", "--num", "1"])
    assert "num: expected an integer >= 2, got 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        uam_fleet_models.main(["paper"])
    assert "invalid choice: 'paper'" in capsys.readouterr().err
