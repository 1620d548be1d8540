"""Random search: every id has a space of legal settings, budgets are equal, the best is written."""

import dataclasses
import inspect

import gymnasium as gym
import pytest
import yaml

import or_envs
from agents.registration import agent_class
from benchmarks import hyperparameters, tune
from benchmarks.cells import cells_of, failed_record
from benchmarks.errors import UserError
from benchmarks.tune import configurations, load_space, main, tuning_suite

CAR = "or_envs/MountainCar-v0"
CONTINUOUS = pytest.mark.parametrize("name", ["expo", "pmoe_sac", "rlpd"])
ALL = pytest.mark.parametrize("name", ["expo", "pmoe_ppo", "pmoe_sac", "props", "rlpd"])


@ALL
def test_spaces_hold_arguments_of_the_agent(name):
    allowed = inspect.signature(agent_class(name).__init__).parameters
    sections = yaml.safe_load(hyperparameters.space_path(name).read_text())
    assert sections["default"].keys() <= allowed.keys()
    own = yaml.safe_load((hyperparameters.space_path(name).parents[1] / f"{name}.yml").read_text())
    assert sections.keys() <= own.keys()


@CONTINUOUS
def test_hyper_parameters_of_every_id_with_continuous_actions(name):
    path = hyperparameters.space_path(name).parents[1] / f"{name}.yml"
    sections = yaml.safe_load(path.read_text())
    boxes = {
        id
        for id in or_envs.TABLE
        if isinstance(or_envs.make_problem(id).action_space, gym.spaces.Box)
    }
    assert {id for id in sections if id != "default"} <= boxes
    for id in boxes:
        assert hyperparameters.load(name, id, {}).reward_scale > 0


def test_configurations_are_a_sequence():
    space = {"a": {"choice": [1, 2, 3]}, "b": {"log_uniform": [0.01, 1.0]}}
    tried = configurations(space, 40)
    assert tried[0] == {}
    assert tried[:5] == configurations(space, 5)
    assert {values["a"] for values in tried[1:]} == {1, 2, 3}
    below = [values["b"] < 0.1 for values in tried[1:]]
    assert all(0.01 <= values["b"] <= 1 for values in tried[1:])
    assert 10 < sum(below) < 30


def test_every_configuration_has_the_same_budget():
    tried = configurations(load_space("expo", CAR), 3)
    assert tried[1]["gamma"] in (0.99, 0.995)  # the id's own section
    suite = tuning_suite("expo", CAR, {"horizon": 20}, {"batch_size": 8}, tried, 2, timesteps=50)
    cells = cells_of(suite)
    assert [cell.seed for cell in cells] == [1000, 1001] * 3
    assert all(cell.contestant.timesteps == 50 for cell in cells)
    assert all(cell.contestant.settings["batch_size"] == 8 for cell in cells)


def test_the_best_is_written(tmp_path, monkeypatch):
    def played(suite, *rest):
        costs = {f"{CAR} #0": 3.0, f"{CAR} #1": 1.0, f"{CAR} #2": 2.0}
        return [
            dataclasses.replace(
                failed_record(cell, ""), costs=[costs[cell.contestant.label]], status="ok"
            )
            for cell in cells_of(suite)
        ]

    monkeypatch.setattr("benchmarks.runner.run_suite", played)
    path = tmp_path / "best.yml"
    command = ["--algo", "rlpd", "--env", CAR, "--configurations", "3", "--output", str(path)]
    main(command)
    expected = configurations(load_space("rlpd", CAR), 3)[1]
    assert yaml.safe_load(path.read_text()) == {CAR: expected}
    values = hyperparameters.load("rlpd", CAR, expected)
    assert values.algorithm["learning_rate"] == expected["learning_rate"]


def test_bad_spaces(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match=r"with a tuning space, expo.*, rlpd, got"):
        load_space("hdpo", CAR)
    path = tmp_path / "x.yml"
    monkeypatch.setattr(tune, "space_path", lambda name: path)
    for law, message in (
        ("{uniform: [0, 1]}", "expected choice or log_uniform"),
        ("3", "expected choice or log_uniform"),
        ("{log_uniform: [0, 1]}", "expected 0 < low <= high"),
    ):
        path.write_text(f"default: {{a: {law}}}")
        with pytest.raises(UserError, match=f"a: {message}"):
            load_space("x", CAR)
    with pytest.raises(SystemExit):
        main(["--algo", "nobody", "--env", CAR, "--output", str(path)])
    assert "invalid choice: 'nobody'" in capsys.readouterr().err
