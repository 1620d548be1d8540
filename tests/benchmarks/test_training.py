import csv
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from benchmarks.cli import main
from benchmarks.hyperparameters import load
from benchmarks.training import train

from .helpers import ROOT, run, write_suite

ENV_ID = "or_envs/LotSizing-v0"
ENV = ["--env", ENV_ID, "--env-kwargs", "instance:VI-A", "horizon:10"]
SMALL = ["n_envs:2", "n_steps:20", "batch_size:20", "n_epochs:1", "policy_kwargs:{net_arch: [8]}"]
SETTINGS = {
    "n_envs": 2,
    "n_steps": 20,
    "batch_size": 20,
    "n_epochs": 1,
    "policy_kwargs": {"net_arch": [8], "activation_fn": "relu"},
}


def _train(folder, timesteps, *more):
    command = ["train", "--algo", "ppo_mask", *ENV, "--timesteps", str(timesteps)]
    return main([*command, "--output", str(folder), "--hyperparams", *SMALL, *more])


def test_train_then_evaluate(capsys, tmp_path):
    assert _train(tmp_path, 200) == 0
    assert _train(tmp_path, 200) == 0
    first, second = sorted((tmp_path / "ppo_mask").iterdir())
    assert (first.name, second.name) == ("LotSizing-v0_1", "LotSizing-v0_2")
    config = yaml.safe_load((first / "config.yml").read_text())
    assert config["hyperparams"]["n_timesteps"] == 200
    assert config["env_kwargs"] == {"instance": "VI-A", "horizon": 10}
    # Equal seeds, equal models.
    models = [(folder / "model.safetensors").read_bytes() for folder in (first, second)]
    assert models[0] == models[1]
    assert not (first / "checkpoint.safetensors").exists()
    assert (first / "curve.png").stat().st_size > 1000
    with (first / "curve.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(line["timesteps"]) for line in lines] == [40, 80, 120, 160, 200]
    # Idle costs 20 in 10 periods and everything else is bounded: costs, not scaled rewards.
    assert all(3 < float(line["mean_cost"]) < 60 for line in lines)

    capsys.readouterr()
    assert main(["evaluate", str(first), *ENV, "--episodes", "5"]) == 0
    from_folder = capsys.readouterr().out
    model = first / "model.safetensors"
    assert main(["evaluate", str(model), "--algo", "ppo_mask", *ENV, "--episodes", "5"]) == 0
    cost = re.search(r"cost [\d.]+", from_folder).group()
    assert cost in capsys.readouterr().out

    for arguments, part in (
        ([model, "--algo", "pdppo", *ENV], "PDPPO"),
        ([first, "--env", ENV_ID], "observation_space"),
    ):
        assert main(["evaluate", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert str(model) in error
        assert part in error


def test_an_unknown_hyperparameter_is_named(capsys, tmp_path):
    assert _train(tmp_path, 40, "colour:red") == 2
    assert "ppo_mask has no 'colour'" in capsys.readouterr().err


def test_an_agent_that_does_not_suit_the_environment_is_named(capsys, tmp_path):
    command = ["train", "--algo", "pdppo", "--env", "or_envs/TSP-v0", "--output", str(tmp_path)]
    assert main([*command, "--env-kwargs", "num_cities:5"]) == 2
    assert "pdppo on or_envs/TSP-v0" in capsys.readouterr().err


def test_resume_takes_no_other_settings(capsys, tmp_path):
    assert main(["train", "--resume", str(tmp_path), "--timesteps", "5"]) == 2
    assert "resume" in capsys.readouterr().err


def test_a_killed_training_goes_on_to_the_same_model(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "train", "--algo", "ppo_mask", *ENV]
    command += ["--timesteps", "40000", "--output", str(tmp_path / "killed")]
    process = subprocess.Popen([*command, "--hyperparams", *SMALL], cwd=ROOT)
    folder = tmp_path / "killed" / "ppo_mask" / "LotSizing-v0_1"
    deadline = time.monotonic() + 60
    while not (folder / "checkpoint.safetensors").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "model.safetensors").exists()
    # The rest would take long: end both trainings soon after the kill.
    with (folder / "curve.csv").open() as file:
        reached = int(list(csv.DictReader(file))[-1]["timesteps"])
    config = yaml.safe_load((folder / "config.yml").read_text())
    config["hyperparams"]["n_timesteps"] = reached + 200
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    assert main(["train", "--resume", str(folder)]) == 0

    values = load("ppo_mask", ENV_ID, config["hyperparams"])
    whole = train("ppo_mask", ENV_ID, config["env_kwargs"], 0, values, tmp_path / "whole")
    assert whole.model.num_timesteps == reached + 200
    models = [f / "model.safetensors" for f in (folder, tmp_path / "whole")]
    assert models[0].read_bytes() == models[1].read_bytes()
    curves = []
    for path in (folder, tmp_path / "whole"):
        with (path / "curve.csv").open() as file:
            curves.append([line[:3] for line in csv.reader(file)])
    assert curves[0] == curves[1]


@pytest.mark.parametrize("name", ["ppo_mask", "pdppo"])
def test_agents_in_a_suite(tmp_path, name):
    agent = {"name": name, "seeds": [0, 1], "timesteps": 80, "settings": SETTINGS}
    records, table = run(write_suite(tmp_path, agent), tmp_path)
    assert [record.status for record in records] == ["ok", "ok"]
    assert table.rows[0].seeds == 2
    assert records[0].learned
    assert records[0].train_seconds > 0
    models = list((tmp_path / "tiny" / "training").glob("*/model.safetensors"))
    assert len(models) == 2
