"""Tuning with optuna: equal budgets, the best is written, a killed search goes on."""

import csv
import multiprocessing
import signal
import subprocess
import sys
import time

import pytest
import yaml

from benchmarks import hyperparameters, tune
from benchmarks.cli import main
from benchmarks.errors import UserError
from benchmarks.spaces import load_space
from benchmarks.tune import FIRST_SEED, Tuning

from .fakes import priced
from .helpers import ROOT

pytest.importorskip("optuna")

ENV_ID = "or_envs/LotSizing-v0"
OPTIONS = {"instance": "VI-A", "horizon": 10}
#: The agent's space, but where prices come from.
SPACE = {
    "learning_rate": {"log_uniform": [0.0001, 0.01]},
    "ent_coef": {"choice": [0.003, 0.01]},
    "policy_kwargs": {"choice": [{"net_arch": [128, 128], "activation_fn": "tanh"}]},
}


@pytest.fixture
def quick(monkeypatch):
    """Processes that need no new interpreter, and a space of three laws."""
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(tune.multiprocessing, "get_context", lambda method: fork)
    monkeypatch.setattr(tune, "load_space", lambda algorithm, env_id: SPACE)


def search(folder, trials=4, sampler="random", pruner="none", storage=None, workers=1, **fields):
    tuning = Tuning(**{**TUNING, **fields})
    output = folder / "best.yml"
    storage = storage or str(folder / "best.log")
    tune.tune(tuning, trials, sampler, pruner, storage, workers, output, work=priced)
    return yaml.safe_load(output.read_text()), table(folder)


TUNING = {
    "algorithm": "ppo_mask",
    "env_id": ENV_ID,
    "env_kwargs": OPTIONS,
    "fixed": {"n_epochs": 1},
    "timesteps": 50,
    "seeds": 2,
}


def table(folder):
    with (folder / "best.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def marks(folder):
    return (folder / "best" / "marks.txt").read_text().split()


def test_every_configuration_has_the_same_budget():
    for drawn in ({}, {"gamma": 0.9}):
        cells = Tuning(**TUNING).cells(drawn)
        assert [cell.seed for cell in cells] == [FIRST_SEED, FIRST_SEED + 1]
        assert {cell.contestant.timesteps for cell in cells} == {50}
        assert {cell.first_episode_seed for cell in cells} == {tune.FIRST_EPISODE_SEED}
        assert {cell.episodes for cell in cells} == {tune.EPISODES}
        assert all(cell.contestant.settings == {"n_epochs": 1, **drawn} for cell in cells)
    assert Tuning(**TUNING).cells({})[0].hash != Tuning(**TUNING).cells({"gamma": 0.9})[0].hash
    space = Tuning(**TUNING).space()
    assert space.keys() == load_space("ppo_mask", ENV_ID).keys() - {"n_epochs"}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_best_is_written(tmp_path, quick, sampler):
    best, rows = search(tmp_path, trials=8, sampler=sampler)
    assert len(rows) == 8
    first = rows[0]  # the hyper-parameter file's own
    assert (first["learning_rate"], first["ent_coef"]) == ("0.001", "0.003")
    assert float(first["cost"]) == 1.0
    assert best == {
        ENV_ID: {
            "n_epochs": 1,
            "learning_rate": 0.001,
            "ent_coef": 0.003,
            "policy_kwargs": {"net_arch": [128, 128], "activation_fn": "tanh"},
        }
    }
    assert hyperparameters.load("ppo_mask", ENV_ID, best[ENV_ID]).algorithm["n_epochs"] == 1
    for row in rows:
        expected = 1 + abs(float(row["learning_rate"]) - 0.001)
        assert float(row["cost_3000"]) == float(row["cost_3001"]) == pytest.approx(expected)
        assert row["state"] == "complete"
    assert len({row["learning_rate"] for row in rows}) == 8


def test_a_search_goes_on_with_more_configurations(tmp_path, quick):
    search(tmp_path, trials=3)
    _, rows = search(tmp_path, trials=6)
    assert len(marks(tmp_path)) == 12  # nothing was done twice
    (tmp_path / "whole").mkdir()
    assert rows == search(tmp_path / "whole", trials=6)[1]
    assert search(tmp_path, trials=2)[1] == rows
    assert len(marks(tmp_path)) == 12


def test_a_database_and_several_workers(tmp_path, quick):
    _, rows = search(tmp_path, trials=5, storage=f"sqlite:///{tmp_path}/db", workers=2)
    (tmp_path / "one").mkdir()
    _, alone = search(tmp_path / "one", trials=5)
    assert rows == alone  # what is drawn at random depends on its number only
    assert len(marks(tmp_path)) == 10


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_bad_configurations_are_given_up(tmp_path, quick, pruner):
    _, rows = search(tmp_path, trials=16, pruner=pruner)
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert len(pruned) >= 2
    assert rows[0]["state"] == "complete"
    for row in pruned:
        assert row["cost_3000"] == ""
        assert 1 <= int(row["steps"]) < 2 * tune.EVALUATIONS
    costs = {row["state"]: [] for row in rows}
    for row in rows:
        costs[row["state"]].append(float(row["cost"]))
    assert min(costs["complete"]) < min(costs["pruned"])


def test_failures_do_not_end_a_search(tmp_path, quick, monkeypatch):
    space = {**SPACE, "ent_coef": {"choice": [0.003, 1.0, 2.0]}}
    monkeypatch.setattr(tune, "load_space", lambda algorithm, env_id: space)
    best, rows = search(tmp_path, trials=8)
    reasons = {row["ent_coef"]: row["reason"] for row in rows}
    assert reasons == {
        "0.003": "",
        "1.0": "RuntimeError: a deliberate failure",
        "2.0": "the process died with exit code 7",
    }
    assert {row["state"] for row in rows} == {"complete", "fail"}
    assert best[ENV_ID]["ent_coef"] == 0.003


def test_no_configuration_succeeds(tmp_path, quick, monkeypatch):
    space = {"learning_rate": SPACE["learning_rate"]}
    monkeypatch.setattr(tune, "load_space", lambda algorithm, env_id: space)
    with pytest.raises(UserError, match="no configuration has succeeded; the last: RuntimeError"):
        search(tmp_path, trials=1, fixed={"ent_coef": 1.0})


def test_another_search_in_the_same_storage(tmp_path, quick):
    search(tmp_path, trials=1)
    with pytest.raises(UserError, match=r"timesteps: the search in .*best.log has 50, got 60"):
        search(tmp_path, timesteps=60)
    with pytest.raises(UserError, match="env_kwargs: the search in"):
        search(tmp_path, env_kwargs={"instance": "VI-A"})


def test_a_storage_that_is_none(tmp_path, quick):
    text = tmp_path / "notes.txt"
    text.write_text("not a journal\n")
    for storage in (str(text), f"sqlite:///{text}", "nosuch://server", str(tmp_path)):
        with pytest.raises(UserError, match="storage: expected a journal of optuna or sqlite"):
            search(tmp_path, storage=storage)


KILLED = """
from pathlib import Path
from tests.benchmarks import test_tune
test_tune.tune.load_space = lambda algorithm, env_id: test_tune.SPACE
if __name__ == "__main__":
    test_tune.search(Path({folder!r}), trials=8, sampler="tpe")
"""


@pytest.mark.slow
def test_a_killed_search_goes_on(tmp_path, quick):
    killed = tmp_path / "killed"
    (killed / "best").mkdir(parents=True)
    (killed / "best" / "wait").touch()
    script = tmp_path / "script.py"
    script.write_text(KILLED.format(folder=str(killed)))
    process = subprocess.Popen([sys.executable, str(script)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not (killed / "best" / "marks.txt").exists() or len(marks(killed)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (killed / "best" / "wait").unlink()
    _, rows = search(killed, trials=8, sampler="tpe")
    (tmp_path / "whole").mkdir()
    assert rows == search(tmp_path / "whole", trials=8, sampler="tpe")[1]


def _command(folder, *more):
    small = ["n_envs:2", "n_steps:20", "batch_size:20", "policy_kwargs:{net_arch: [8]}"]
    return [
        *("tune", "--algo", "ppo_mask", "--env", ENV_ID, "--env-kwargs", "instance:VI-A"),
        *("horizon:10", "--hyperparams", *small, "--timesteps", "400", "--seeds", "2"),
        *("--workers", "1", "--output", str(folder / "best.yml"), *more),
    ]


@pytest.mark.slow
def test_real_trainings(tmp_path, capsys, quick, monkeypatch):
    monkeypatch.setattr(tune, "load_space", load_space)
    assert main(_command(tmp_path, "--trials", "2", "--pruner", "median")) == 0
    assert "best: cost" in capsys.readouterr().out
    rows = table(tmp_path)
    assert [row["state"] for row in rows] == ["complete", "complete"]
    # Idle costs 20 in 10 periods: costs, not scaled rewards. Evaluated on the way, not at the end.
    assert all(3 < float(row["cost"]) < 60 for row in rows)
    assert [row["steps"] for row in rows] == ["7", "7"]
    assert len(list((tmp_path / "best").glob("*/model.safetensors"))) == 4
    assert len(list((tmp_path / "best").glob("*/milestones.json"))) == 4


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["--output", "best.txt"], ["output", "best.txt", ".yml"]),
        (["--algo", "sarsa"], ["algo", "sarsa", "ppo_mask"]),
        (["--env-kwargs", "instance:9x9"], ["instance", "9x9", "15x5"]),
        (["--hyperparams", "colour:red"], ["colour", "ppo_mask"]),
        (["--storage", "nosuch://server"], ["storage", "nosuch"]),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, quick, more, parts):
    assert main(_command(tmp_path, *more, "--trials", "1")) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    for part in parts:
        assert part in lines[0]
    assert not (tmp_path / "best.yml").exists()


def test_without_optuna(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(_command(tmp_path)) == 2
    assert "or-bench tune needs optuna" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
