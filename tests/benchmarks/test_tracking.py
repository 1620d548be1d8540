"""What an agent logs goes to TensorBoard and, on request, to a tracker."""

import sys
import types

import pytest

from benchmarks.cli import main
from benchmarks.hyperparameters import load
from benchmarks.milestones import Milestones
from benchmarks.training import train

ENV_ID = "or_envs/LotSizing-v0"
ENV_KWARGS = {"instance": "VI-A", "horizon": 10}
SMALL = {"n_envs": 2, "n_steps": 20, "batch_size": 20, "n_epochs": 1, "n_timesteps": 120}


def _train(folder, *more):
    small = [f"{name}:{value}" for name, value in SMALL.items()]
    command = ["train", "--algo", "ppo_mask", "--env", ENV_ID, "--hyperparams", *small]
    return main(
        [*command, "--env-kwargs", "instance:VI-A", "horizon:10", "--output", str(folder), *more]
    )


def test_tensorboard(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert _train(tmp_path) == 0
    folder = tmp_path / "ppo_mask" / "LotSizing-v0_1"
    events = loader.EventAccumulator(str(folder / "tensorboard")).Reload()
    assert {"train/loss", "rollout/ep_rew_mean"} <= set(events.Tags()["scalars"])
    points = events.Scalars("rollout/ep_rew_mean")
    assert [point.step for point in points] == [40, 80, 120]
    # In money, whatever the reward scale: idle costs 20 in 10 periods.
    assert all(-60 < point.value < -3 for point in points)


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.tracking.importlib.util.find_spec", lambda name: None)
    assert _train(tmp_path) == 0
    assert not (tmp_path / "ppo_mask" / "LotSizing-v0_1" / "tensorboard").exists()


class Run:
    """A tracker's run."""

    def __init__(self):
        self.logged = []
        self.error = None

    def log(self, values, step):
        self.logged.append((step, values))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.error = kind


@pytest.fixture(params=["wandb", "mlflow"])
def tracker(request, monkeypatch):
    """A module that stands for the tracker, and what it was told."""
    module, run, told = types.ModuleType(request.param), Run(), {}

    def init(project, name, dir, config):
        told.update(project=project, name=name, params=config)
        return run

    module.init = init
    module.set_experiment = lambda name: told.update(project=name)
    module.start_run = lambda run_name: told.update(name=run_name) or run
    module.log_params = lambda params: told.update(params=params)
    module.log_metrics = run.log
    monkeypatch.setitem(sys.modules, request.param, module)
    return module, run, told


def test_trackers(tmp_path, tracker):
    module, run, told = tracker
    assert _train(tmp_path) == 0
    assert told == {}  # off by default
    assert _train(tmp_path, "--track", module.__name__) == 0
    assert (told["project"], told["name"]) == ("or-envs", "ppo_mask/LotSizing-v0_2")
    assert told["params"]["algo"] == "ppo_mask"
    assert told["params"]["n_steps"] == 20
    assert [step for step, _ in run.logged] == [40, 80, 120]
    assert all(type(value) is float for _, values in run.logged for value in values.values())
    assert -60 < run.logged[-1][1]["rollout/ep_rew_mean"] < -3
    assert run.error is None
    models = [tmp_path / "ppo_mask" / f"LotSizing-v0_{n}" / "model.safetensors" for n in (1, 2)]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_a_training_that_fails(tmp_path, tracker, capsys):
    module, run, _ = tracker
    assert _train(tmp_path, "--track", module.__name__, "--hyperparams", "learning_rate:lin_x") == 2
    assert run.error is not None
    capsys.readouterr()


def test_a_tracker_that_does_not_start(tmp_path, tracker, capsys):
    module, _, _ = tracker

    def refuse(*args, **kwargs):
        raise RuntimeError("no\nkey")

    module.init = module.set_experiment = refuse
    assert _train(tmp_path, "--track", module.__name__) == 2
    assert capsys.readouterr().err == f"or-bench: error: track: {module.__name__}: no key\n"


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_trackers_that_are_missing(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    assert _train(tmp_path, "--track", name) == 2
    assert f"or-bench train needs {name}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_trackers_that_are_there(tmp_path, monkeypatch, name):
    pytest.importorskip(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    assert _train(tmp_path, "--track", name) == 0
    if name == "wandb":
        assert list(tmp_path.glob("*/*/wandb/offline-run-*/*.wandb"))
        return
    import mlflow

    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "rollout/ep_rew_mean")
    assert [point.step for point in history] == [40, 80, 120]
    assert run.data.params["algo"] == "ppo_mask"


@pytest.mark.parametrize("name", ["ppo_mask", "expo"])
def test_milestones_do_not_disturb(tmp_path, name):
    env_id, env_kwargs = ENV_ID, ENV_KWARGS
    small = {**SMALL, "n_timesteps": 160}
    if name == "expo":  # plays with random candidates
        env_id, env_kwargs = "or_envs/MountainCar-v0", {"horizon": 20}
        small = {"n_timesteps": 160, "learning_starts": 20, "batch_size": 8, "gradient_steps": 1}
    values = load(name, env_id, small)
    told, calls = [], []

    def cost(model):
        calls.append(model.num_timesteps)
        space = model.observation_space
        model.predict(space.sample(), deterministic=True)
        return float(len(calls))

    def milestones():
        path = tmp_path / "with" / "milestones.json"
        return Milestones(path, 4, 160, cost, lambda k, value: told.append((k, value)))

    train(name, env_id, env_kwargs, 0, values, tmp_path / "without")
    train(name, env_id, env_kwargs, 0, values, tmp_path / "with", callback=milestones())
    assert told == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert calls == [40, 80, 120]
    models = [tmp_path / folder / "model.safetensors" for folder in ("with", "without")]
    assert models[0].read_bytes() == models[1].read_bytes()
    # A training that is continued, here a finished one, tells again what is known.
    told.clear()
    train(name, env_id, env_kwargs, 0, values, tmp_path / "with", callback=milestones())
    assert told == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert len(calls) == 3
