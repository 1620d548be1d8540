"""What stands beside the claims of PMOE and PROPS, and their experiments on small budgets."""

import csv

import numpy as np
import pytest
import yaml

from agents.props.props import PROPS
from benchmarks import claim_runs, sampling_error, trap_bandit
from benchmarks.config import load_suite
from benchmarks.errors import UserError
from benchmarks.sampling_error import POLICIES, softmax_errors

from .helpers import run

SETTINGS = {"n_envs": 2, "n_steps": 8, "batch_size": 16, "n_epochs": 1, "behavior_n_steps": 8}


def suite_file(folder):
    problem = {
        "env_id": "or_envs/TabularLotSizing-v0",
        "episodes": 3,
        "contestants": [
            {"name": "props", "seeds": [0, 1], "timesteps": 64, "settings": SETTINGS},
            {"name": "inventory/tabular_policy", "reference": True},
        ],
    }
    path = folder / "tiny.yml"
    path.write_text(yaml.safe_dump({"problems": [problem]}), encoding="utf-8")
    return path


def test_runs_of_a_suite(tmp_path, capsys):
    path = suite_file(tmp_path)
    with pytest.raises(UserError, match="has to be run first"):
        claim_runs.main([str(path), "--results", str(tmp_path)])
    records, _ = run(path, tmp_path, workers=1)
    assert [record.status for record in records] == ["ok"] * 3
    claim_runs.main([str(path), "--results", str(tmp_path), "--tolerance", "10"])
    assert "props  2 runs:  1.000 [1.000, 1.000]" in capsys.readouterr().out
    with (tmp_path / "tiny" / "runs.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert (line["arm"], line["runs"], line["near"]) == ("props", "2", "1.0")
    assert 20 < float(line["curve_cost"]) < 200
    assert float(line["milliseconds"]) > 0
    (row,) = claim_runs.rows(load_suite(str(path)), tmp_path, tolerance=-1.0)
    assert row.near.value == 0


@pytest.mark.parametrize("form", [[], ["--plain"]])
def test_trap_bandit(form, tmp_path, capsys):
    reward = trap_bandit.reward(np.array([-0.5, 0.7, 0.3]))
    assert reward == pytest.approx([0.8, 1.0, 0.0], abs=0.02)
    low, high = trap_bandit.wilson(5, 20)
    assert (low, high) == pytest.approx((0.112, 0.469), abs=1e-3)
    arguments = ["--seeds", "1", "--steps", "20", "--output", str(tmp_path / "trap.csv")]
    trap_bandit.main([*arguments, *form])
    assert capsys.readouterr().out.count("escaped 0/1") == len(trap_bandit.ARMS)
    assert len((tmp_path / "trap.csv").read_text().splitlines()) == 1 + len(trap_bandit.ARMS)


def test_plain_components_begin_on_the_slope():
    """After one step hardly anything has moved: the reward of -0.3."""
    found = trap_bandit.run(1, "best", 0.0, 0, 1, plain=True)
    start = trap_bandit.reward(np.array([trap_bandit.START]))[0]
    assert found.deterministic == pytest.approx(start, abs=0.01)
    assert found.largest_weight == 1


def test_sampling_error_of_control(tmp_path, capsys):
    arguments = ["control", "--env", "Pendulum-v1", "--seeds", "1", "--steps", "1024"]
    sampling_error.main([*arguments, "--train", "0", "--output", str(tmp_path / "error.csv")])
    assert "on-policy 0.0" in capsys.readouterr().out
    with (tmp_path / "error.csv").open() as file:
        assert [line["sampling"] for line in csv.DictReader(file)] == ["on_policy", "props"] * 2


def test_sampling_error_while_learning(tmp_path, capsys):
    output = tmp_path / "error.csv"
    sampling_error.main(["lot_sizing", "--seeds", "1", "--steps", "512", "--output", str(output)])
    assert capsys.readouterr().out.count("mean over 512 steps of training: on-policy 0.") == 2


def test_missing_mujoco(monkeypatch):
    import gymnasium as gym

    def missing(*arguments):
        raise gym.error.DependencyNotInstalled

    monkeypatch.setattr(gym, "make", missing)
    with pytest.raises(
        SystemExit, match=r"Hopper-v5 needs MuJoCo: pip install 'or-envs\[mujoco\]'"
    ):
        sampling_error.main(["control"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "expected"),
    [("uniform", (0.0120, 0.0014, 0.00011)), ("skewed", (0.0217, 0.0034, 0.00044))],
)
def test_sampling_error_of_a_softmax(policy, expected):
    """Like an independent implementation within 30 % and chance, both means over 12 seeds."""
    errors = [
        list(softmax_errors(POLICIES[policy], "props", seed, reset=False).values())
        for seed in range(12)
    ]
    deviation = np.std(errors, axis=0, ddof=1) / np.sqrt(len(errors))
    allowed = 0.3 * np.array(expected) + 2 * np.sqrt(2) * deviation
    assert (np.abs(np.mean(errors, axis=0) - expected) < allowed).all()


def test_minibatches_grow_with_the_data(monkeypatch):
    seen = []

    def adapt(self, update, num_envs):
        seen.append((len(self.ring), update.batch_size))

    monkeypatch.setattr(PROPS, "_adapt", adapt)
    softmax_errors(POLICIES["uniform"], "props", seed=0)
    assert seen == [(16 * done, max(1, 4 * done)) for done in range(64)]
