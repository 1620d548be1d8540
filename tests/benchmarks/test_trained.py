"""The trained agents that the package brings along."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import benchmarks
import or_envs
from benchmarks.cli import main
from benchmarks.errors import UserError
from benchmarks.players import TrainedSearch, trained
from benchmarks.problems import build_problem

ROOT = Path(benchmarks.__file__).parent / "trained"
FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir())
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_there_is_one_for_every_instance_of_the_published_law():
    names = {folder.name for folder in FOLDERS}
    assert names >= {f"adp-LotSizing-{size}" for size in ("15x5", "20x10", "25x10", "25x15")}
    assert sum(path.stat().st_size for path in ROOT.rglob("*")) < 60e6


@each
def test_reproduces_its_evaluation(folder, tmp_path, capsys):
    stored = yaml.safe_load((folder / "evaluation.yml").read_text())
    again = tmp_path / "again.yml"
    assert main(["evaluate", str(folder), "--episodes", "30", "--output", str(again)]) == 0
    now = yaml.safe_load(again.read_text())
    assert (now["env"], now["env_kwargs"]) == (stored["env"], stored["env_kwargs"])
    mean, low, high = stored["cost"]
    deviation = (high - low) / 2 / 1.96 * np.sqrt(stored["episodes"])
    assert abs(now["cost"][0] - mean) < 4 * deviation / np.sqrt(30)
    assert now["episodes"] == 30


@each
def test_says_how_it_was_trained(folder):
    config = yaml.safe_load((folder / "config.yml").read_text())
    curve = (folder / "curve.csv").read_text().splitlines()
    # Points are a hundredth of the training apart, but none is in an unfinished episode.
    assert int(curve[-1].split(",")[0]) >= 0.75 * config["hyperparams"]["n_timesteps"]


def test_is_a_contestant_of_suites():
    problem = build_problem("or_envs/LotSizing-v0", {"instance": "15x5"})
    rule = trained(problem, 0, "adp-LotSizing-15x5")
    instance = problem.sample_instances([np.random.default_rng(0)])
    assert rule(instance, problem.initial(instance)).shape == (1, 5)


@pytest.mark.parametrize(
    ("name", "env", "kwargs", "decoder"),
    [
        ("bq_nco-TSP-20", "or_envs/TSP-v0", {"num_cities": 20}, "beam:4"),
        (
            "gnn_ppo-JobShop-10x5",
            "or_envs/JobShop-v0",
            {"instance": "LA01", "blocking": "swap"},
            "samples:8:3",
        ),
    ],
)
def test_searches_are_solvers_that_do_better_than_the_agent_alone(name, env, kwargs, decoder):
    problem = build_problem(env, kwargs)
    instance, _ = or_envs.sample(problem, 0, 1)
    found = TrainedSearch(problem, 0, name, decoder).solve(instance)
    played = or_envs.simulate(problem, found.actions[None], instance)
    assert -played.total_reward[0] == pytest.approx(found.objective)
    alone = or_envs.simulate(problem, trained(problem, 0, name), instance)
    assert found.objective <= -alone.total_reward[0] + 1e-6


def test_names_what_is_wrong_with_a_search():
    problem = build_problem("or_envs/TSP-v0", {"num_cities": 20})
    with pytest.raises(UserError, match="decoder: expected greedy"):
        TrainedSearch(problem, 0, "bq_nco-TSP-20", "depth:4")
    lots = build_problem("or_envs/LotSizing-v0", {"instance": "15x5"})
    with pytest.raises(UserError, match="'adp-LotSizing-15x5' has no searches"):
        TrainedSearch(lots, 0, "adp-LotSizing-15x5", "greedy")


def test_refuses_another_environment(capsys):
    folder = str(FOLDERS[0])
    assert main(["evaluate", folder, "--env-kwargs", "instance:VI-A"]) == 2
    assert "observation_space" in capsys.readouterr().err


def test_a_baseline_needs_an_environment(capsys):
    assert main(["evaluate", "lot_sizing/idle"]) == 2
    assert "--env" in capsys.readouterr().err
