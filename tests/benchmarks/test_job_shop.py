"""The commands that make the job-shop model and its table, tried out on little work."""

import csv
from pathlib import Path

import numpy as np
import pytest

import benchmarks
import or_envs
from agents.gnn_ppo.demonstrations import Demonstrations
from benchmarks import job_shop_labels, job_shop_models, job_shop_table

MODEL = Path(benchmarks.__file__).parent / "trained" / "gnn_ppo-JobShop-10x5"


def test_labels_are_schedules_of_the_pilot(tmp_path):
    path = tmp_path / "labels.npz"
    arguments = ["--env-kwargs", "blocking:swap", "num_jobs:4", "num_machines:3", "p_down:0.0"]
    arguments += ["--settings", "completions:4", "--num", "3", "--workers", "1"]
    job_shop_labels.main([*arguments, "--output", str(path)])
    problem = or_envs.make_problem(
        "or_envs/JobShop-v0", blocking="swap", num_jobs=4, num_machines=3, p_down=0.0
    )
    labels = Demonstrations.load(path, problem)
    played = or_envs.simulate(problem, np.maximum(labels.actions, 0), labels.instance)
    assert (played.state.status == 3).all()
    instance, _ = or_envs.sample(problem, 1_000_000_000, 3)
    np.testing.assert_array_equal(labels.instance.duration, instance.duration)
    assert not path.with_suffix(".parts").exists()


def test_labels_refuse_plans_where_there_is_luck(tmp_path, capsys):
    with pytest.raises(SystemExit):
        job_shop_labels.main(
            ["--env-kwargs", "p_down:0.1", "--num", "3", "--output", str(tmp_path / "x.npz")]
        )
    assert "problem: expected p_down 0, got (0.1,)" in capsys.readouterr().err


def test_the_table_of_the_packaged_model(capsys):
    job_shop_table.main([str(MODEL), "--num", "48", "--groups"])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 8
    for rule, agent in zip(rows[::2], rows[1::2], strict=True):
        assert rule["contestant"].startswith("best rule: ")
        assert agent["contestant"] == "greedy"
        saved = float(rule["makespan"]) - float(agent["makespan"])
        assert saved == pytest.approx(float(agent["less_than_best_rule"]), abs=0.06)
        assert float(agent["low"]) > 0


@pytest.mark.slow
def test_models_are_made_from_nothing(tmp_path):
    arguments = ["small", "--output", str(tmp_path), "--fraction", "0.001", "--workers", "1"]
    job_shop_models.main(arguments)
    rows = list(csv.DictReader((tmp_path / "small" / "table.csv").read_text().splitlines()))
    assert {row["shops"] for row in rows} == {"random 10x5", "LA01-05", "LA16-20"}
    before = (tmp_path / "small" / "table.csv").stat().st_mtime_ns
    job_shop_models.main(arguments)  # nothing is made again
    assert (tmp_path / "small" / "table.csv").stat().st_mtime_ns == before
