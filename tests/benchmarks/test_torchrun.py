"""Processes that torchrun starts train as one does, and leave one folder."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import or_envs
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.labels import Labels
from agents.common.files import load_model

from .helpers import ROOT

pytestmark = pytest.mark.slow

HDPO = ["--algo", "hdpo", "--env", "or_envs/SingleStoreLostSales-v0", "--timesteps", "13200"]
# An odd batch: the two shares differ.
HDPO += ["--hyperparams", "num_scenarios:256", "batch_size:33", "n_periods:20"]
HDPO += ["dev_every:5", "dev_scenarios:64", "dev_periods:30", "dev_warm_up:10"]
BQ_NCO = ["--algo", "bq_nco", "--env", "or_envs/TSP-v0", "--env-kwargs", "num_cities:6"]
BQ_NCO += ["--timesteps", "250", "--hyperparams", "dev_every:5", "dev_instances:8", "tokens:75"]
BQ_NCO += ["warm_up:2", "policy_kwargs:{dim: 16, heads: 2, layers: 1, feed_forward: 16}"]


def train(arguments, output, processes):
    """Train through the command line."""
    started_by = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *(started_by if processes == 2 else []), "-m", "benchmarks"]
    return subprocess.run(
        [*command, "train", *arguments, "--output", str(output)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def folder_of(result, output):
    assert result.returncode == 0, result.stderr
    (folder,) = output.glob("*/*")
    return folder


@pytest.fixture
def labels(tmp_path):
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance, _ = or_envs.sample(problem, 0, 40)
    tours = np.stack([1 + np.random.default_rng(k).permutation(5) for k in range(40)])
    path = tmp_path / "labels.npz"
    Labels(instance, tours).save(path)
    return path


def test_hdpo_ends_with_the_same_weights(tmp_path):
    weights = []
    for processes in (1, 2):
        output = tmp_path / str(processes)
        result = train(HDPO, output, processes)
        folder = folder_of(result, output)
        assert result.stdout.count("training in") == result.stdout.count("trained for") == 1
        names = sorted(path.name for path in folder.iterdir())
        assert names == [
            *("config.yml", "curve.csv", "curve.png", "model.safetensors", "tensorboard")
        ]
        weights.append(load_model(folder / "model.safetensors", "HDPO")[0])
        lines = (folder / "curve.csv").read_text().splitlines()[1:]
        assert len(lines) == 4
    for name, alone in weights[0].items():
        np.testing.assert_allclose(weights[1][name], alone, atol=1e-5, err_msg=name)


def test_bq_nco_ends_with_the_same_policy(tmp_path, labels):
    """Not the same weights: some make no difference to the policy, and get noise as gradients."""
    problem = or_envs.make_problem("or_envs/TSP-v0", num_cities=6)
    instance = or_envs.sample(problem, 100, 40)[0].to_torch("cpu", torch.float32)
    chances = []
    for processes in (1, 2):
        output = tmp_path / str(processes)
        folder = folder_of(train([*BQ_NCO, f"labels:['{labels}']"], output, processes), output)
        model = BQNCO.load(folder / "model.safetensors", device="cpu")
        with torch.no_grad():
            scores, _ = model.policy.scores(instance, problem.initial(instance))
        chances.append(scores.softmax(dim=1).numpy())
    np.testing.assert_allclose(chances[1], chances[0], atol=1e-5)


def test_other_agents_are_refused(tmp_path):
    ppo = ["--algo", "ppo", "--env", "or_envs/LotSizing-v0", "--timesteps", "100"]
    result = train(ppo, tmp_path, 2)
    assert result.returncode != 0
    assert "ppo is trained by one process; start it without torchrun" in result.stderr
