"""rl-zoo3's own commands train and play our agents."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import yaml

from agents.registration import agent_class
from benchmarks import hyperparameters
from benchmarks.cli import main
from benchmarks.problems import env_ids

from .helpers import ROOT

LOTS = ["--env", "or_envs/LotSizing-v0"]
NAME = "or_envs-LotSizing-v0"


def _run(module, *arguments, folder):
    """Run a module in a folder; its output."""
    found = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


@pytest.mark.parametrize("name", hyperparameters.agents())
def test_files_are_complete_where_rl_zoo3_reads_one_section(name):
    """Rl-zoo3 takes the section of an id alone, or else "default"; we merge the two."""
    sections = yaml.safe_load(hyperparameters.path(name).read_text())
    assert set(sections) <= {"default", *env_ids()}
    for env_id in env_ids():
        alone = sections.get(env_id, sections["default"])
        assert alone == hyperparameters.load(name, env_id, {}).flat()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short training by rl-zoo3's own command."""
    pytest.importorskip("rl_zoo3")
    folder = tmp_path_factory.mktemp("zoo")
    text = _run(
        "rl_zoo3.train",
        *("--gym-packages", "or_envs", "--algo", "pdppo", *LOTS),
        *("--env-kwargs", "instance:'VI-A'", "-n", 800, "--seed", 1, "-f", folder),
        *("--eval-freq", 400, "--eval-episodes", 1, "--save-freq", 400, "--device", "cpu"),
        *("--hyperparams", "n_envs:4", "n_steps:50", "batch_size:100"),
        folder=folder,
    )
    assert str(hyperparameters.path("pdppo")) in text
    return folder


@pytest.mark.slow
def test_output_tree(trained):
    run = trained / "pdppo" / f"{NAME}_1"
    checkpoints = [f"rl_model_{steps}_steps.zip" for steps in (400, 800)]
    for name in (f"{NAME}.zip", "best_model.zip", "evaluations.npz", *checkpoints):
        assert (run / name).is_file(), name
    for name in ("config.yml", "args.yml", "command.txt"):
        assert (run / NAME / name).is_file(), name
    # Eight episodes of four environments, in the problem's own units.
    for number in range(4):
        lines = (run / f"{number}.monitor.csv").read_text().splitlines()
        assert lines[1] == "r,l,t"
        assert [line.split(",")[1] for line in lines[2:]] == ["100", "100"]
        assert float(lines[2].split(",")[0]) < -30


@pytest.mark.slow
def test_files_are_safetensors_of_what_the_agent_itself_learns(trained, tmp_path):
    from agents.pdppo.pdppo import PDPPO
    from or_envs.core.sb3 import make_sb3_vec_env

    with zipfile.ZipFile(trained / "pdppo" / f"{NAME}_1" / f"{NAME}.zip") as archive:
        assert archive.namelist() == ["model.safetensors"]
        model = PDPPO.load(archive.extract("model.safetensors", tmp_path), device="cpu")
    values = {"n_envs": 4, "n_steps": 50, "batch_size": 100}
    values = hyperparameters.load("pdppo", "or_envs/LotSizing-v0", values)
    env = make_sb3_vec_env("or_envs/LotSizing-v0", 4, 0, values.reward_scale, instance="VI-A")
    again = PDPPO(values.policy, env, seed=1, device="cpu", **values.arguments()).learn(800)
    assert model.num_timesteps == 800
    for name, parameter in again.policy.state_dict().items():
        np.testing.assert_array_equal(model.policy.state_dict()[name], parameter, err_msg=name)
    arguments = ["evaluate", str(tmp_path / "model.safetensors"), "--algo", "pdppo", *LOTS]
    assert main([*arguments, "--env-kwargs", "instance:VI-A", "--episodes", "5"]) == 0


@pytest.mark.slow
def test_enjoy_and_going_on(trained):
    options = ["--algo", "pdppo", *LOTS, "-f", trained]
    text = _run("rl_zoo3.enjoy", *options, "--no-render", "-n", 100, "--load-best", folder=trained)
    assert "Episode Length 100" in text
    text = _run(
        "rl_zoo3.train",
        *(*options, "--env-kwargs", "instance:'VI-A'", "-n", 200, "--eval-freq", -1),
        *("-i", trained / "pdppo" / f"{NAME}_1" / f"{NAME}.zip", "--device", "cpu"),
        folder=trained,
    )
    assert "Loading pretrained agent" in text
    assert (trained / "pdppo" / f"{NAME}_2" / f"{NAME}.zip").is_file()


@pytest.mark.slow
def test_another_agent_by_our_command_and_a_named_file(tmp_path):
    """ADP needs the native batch, and has a learning rate that falls."""
    pytest.importorskip("rl_zoo3")
    _run(
        "benchmarks.rl_zoo3",
        *("train", "--algo", "adp", *LOTS, "--env-kwargs", "instance:'VI-A'", "horizon:10"),
        *("--conf-file", hyperparameters.path("adp"), "-n", 80, "--eval-freq", 40),
        *("--hyperparams", "n_envs:2", "n_steps:20", "batch_size:20", "-f", "logs"),
        *("--device", "cpu"),
        folder=tmp_path,
    )
    run = tmp_path / "logs" / "adp" / f"{NAME}_1"
    with zipfile.ZipFile(run / f"{NAME}.zip") as archive:
        model = agent_class("adp").load(archive.extract("model.safetensors", tmp_path))
    assert (model.learning_rate.start, model.learning_rate.end) == (0.001, 0.0)
    assert np.load(run / "evaluations.npz")["timesteps"].tolist() == [40, 80]


@pytest.mark.slow
def test_what_is_no_zip_of_ours_is_refused(tmp_path):
    pytest.importorskip("rl_zoo3")
    import stable_baselines3
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    import or_envs
    from benchmarks.rl_zoo3 import ALGOS, ZooAgent

    assert ALGOS["ppo"] is stable_baselines3.PPO
    agent = ALGOS["pdppo"]
    assert isinstance(agent, ZooAgent)
    path = tmp_path / "model.zip"
    stable_baselines3.PPO("MlpPolicy", "CartPole-v1").save(path)
    with pytest.raises(ValueError, match=r"zip of model\.safetensors alone"):
        agent.load(path)
    env = DummyVecEnv([lambda: or_envs.Env(or_envs.make_problem("or_envs/LotSizing-v0"))])
    with pytest.raises(ValueError, match=r"reward_scale: 0\.1 needs"):
        agent("MlpPolicy", VecNormalize(env), reward_scale=0.1)
