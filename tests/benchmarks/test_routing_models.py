"""The command that makes routing models, tried out on a thousandth of the work."""

import csv
import os
import subprocess

import pytest

from benchmarks import bq_nco_ablation, labels, recipes, routing_models


@pytest.mark.slow
@pytest.mark.parametrize(("name", "workers"), [("Knapsack-100", 1), ("Orienteering-20", 2)])
def test_models_are_made_from_nothing(name, workers, tmp_path, capsys):
    arguments = [name, "--output", str(tmp_path), "--fraction", "0.001"]
    arguments += ["--workers", str(workers)]
    routing_models.main(arguments)
    rows = list(csv.DictReader((tmp_path / name / "gaps.csv").read_text().splitlines()))
    assert [row["contestant"] for row in rows][1:] == ["bq_nco greedy", "bq_nco beam:16"]
    assert float(rows[0]["gap_percent"]) == 0
    before = (tmp_path / name / "gaps.csv").stat().st_mtime_ns
    routing_models.main(arguments)  # nothing is made again
    assert (tmp_path / name / "gaps.csv").stat().st_mtime_ns == before


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        routing_models.main(["TSP-7"])
    assert "expected small, large, or of TSP-20" in capsys.readouterr().err


def test_several_processes_train_together(tmp_path, monkeypatch):
    commands = []

    def run(command, check):
        commands.append((command, os.environ["OMP_NUM_THREADS"], os.environ["NUMBA_NUM_THREADS"]))
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "4")
    with pytest.raises(SystemExit, match="training failed"):
        recipes.train("hdpo", "or_envs/TSP-v0", {}, 10, {}, tmp_path, "cpu", processes=3)
    ((command, *threads),) = commands
    assert command[command.index("--nproc-per-node") + 1] == "3"
    assert (command[-1], threads) == ("--hyperparams", ["1", "1"])


@pytest.mark.slow
def test_arms_of_an_ablation_are_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bq_nco_ablation, "ARMS", bq_nco_ablation.ARMS[::4])
    path = tmp_path / "labels.npz"
    labels.main(
        [
            *("--env", "or_envs/TSP-v0", "--env-kwargs", "num_cities:6", "--num", "30"),
            *("--solver", "routing/iterated_local_search", "--output", str(path)),
        ]
    )
    capsys.readouterr()
    table = tmp_path / "runs.csv"
    options = ["--cities", "6", "--seeds", "2", "--timesteps", "2000", "--num", "5"]
    bq_nco_ablation.main([str(path), *options, "--output", str(table)])
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["optimizer"], row["adjacency"], row["seed"]) for row in rows] == [
        *(("adam", "0.0", "0"), ("muon", "4.0", "0"), ("adam", "0.0", "1"), ("muon", "4.0", "1"))
    ]
    assert all(float(row["gap_percent"]) >= -1e-9 for row in rows)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[-2:]] == ["adam 0.001", "muon 0.002"]
