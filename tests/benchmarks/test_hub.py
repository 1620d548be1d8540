"""Export and import in the layout of a Hugging Face repository; nothing is unpickled."""

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors import safe_open
from safetensors.numpy import save_file

import benchmarks
from benchmarks import zoo
from benchmarks.cli import main
from benchmarks.hub import export_model

NAME = "hdpo-SingleStoreLostSales-poisson-L4-p9"
SHIPPED = Path(benchmarks.__file__).parent / "trained" / NAME
SOURCES = Path(benchmarks.__file__).parents[1]


@pytest.fixture
def exported(tmp_path):
    folder = tmp_path / NAME
    export_model(zoo.read(NAME), folder)
    return folder


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _refused(capsys, folder, *parts):
    """Import fails with one line that names these; nothing is written."""
    before = sorted(folder.parent.rglob("*"))
    assert main(["import", str(folder), "--output", str(folder.parent / "new")]) == 2
    text = capsys.readouterr().err
    assert len(text.strip().splitlines()) == 1
    for part in parts:
        assert part in text
    assert sorted(folder.parent.rglob("*")) == before


def test_round_trip(exported, tmp_path, capsys):
    assert main(["import", str(exported), "--output", str(tmp_path / "new")]) == 0
    for name in ("config.yml", "evaluation.yml"):
        files = [SHIPPED / name, tmp_path / "new" / name]
        first, second = (yaml.safe_load(path.read_text()) for path in files)
        assert first == second
    for name in ("model.safetensors", "curve.csv", "curve.png"):
        assert (tmp_path / "new" / name).read_bytes() == (SHIPPED / name).read_bytes()
    assert main(["evaluate", str(tmp_path / "new"), "--check", "--episodes", "50"]) == 0


def test_layout(exported):
    assert {path.name for path in exported.iterdir()} == {
        *("README.md", "config.json", "results.json", "model.safetensors"),
        *("curve.csv", "curve.png"),
    }
    assert (exported / "README.md").read_text() == (SHIPPED / "README.md").read_text()
    results = json.loads((exported / "results.json").read_text())
    evaluation = yaml.safe_load((SHIPPED / "evaluation.yml").read_text())
    assert results["n_eval_episodes"] == evaluation["episodes"]
    assert results["is_deterministic"] is True
    # 400 counted periods of one store; the interval is Student's.
    assert results["mean_reward"] == pytest.approx(-400 * evaluation["cost"][0])
    half = 400 * (evaluation["cost"][2] - evaluation["cost"][1]) / 2
    assert results["std_reward"] == pytest.approx(half / 1.9623 * np.sqrt(1000), rel=1e-4)


def test_front_matter_is_what_the_hub_reads(exported):
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard.load(exported / "README.md").data
    assert data.library_name == "or-envs"
    assert data.license == "mit"
    (result,) = data.eval_results
    assert data.model_name == "hdpo"
    assert (result.task_type, result.metric_type) == ("reinforcement-learning", "mean_reward")
    assert result.dataset_name == "or_envs/SingleStoreLostSales-v0"
    assert result.metric_value.startswith("-2738.92 +/- ")


def test_an_export_replaces_nothing(exported, capsys):
    assert main(["export", NAME, "--output", str(exported)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_run_needs_an_evaluation_to_be_exported(tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(SHIPPED, run)
    (run / "evaluation.yml").unlink()
    assert main(["export", str(run), "--output", str(tmp_path / "new")]) == 2
    assert "or-bench evaluate" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model.zip", "replay_buffer.pkl", "deep/policy.pt", "a.PTH"])
def test_pickles_are_refused_by_name(name, exported, capsys):
    path = exported / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    _refused(capsys, exported, str(path), "pickles", ".safetensors")


def test_a_pickle_by_another_name_is_refused_unread(exported, capsys, tmp_path):
    (exported / "model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    _refused(capsys, exported, "model.safetensors", "holds a pickle")


@pytest.mark.parametrize("place", ["weights", "header", "settings"])
def test_a_pickle_inside_safetensors_is_refused_unread(place, exported, capsys, tmp_path):
    path = exported / "model.safetensors"
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    payload = pickle.dumps(Bomb(tmp_path / "exploded"), protocol=0)
    if place == "weights":
        first = min(tensors)
        tensors[first] = np.frombuffer(payload, dtype=np.uint8)
    elif place == "header":
        metadata["or-envs"] = payload.decode()
    else:
        header = json.loads(metadata["or-envs"])
        header["settings"]["arguments"]["learning_rate"] = {":serialized:": payload.decode()}
        metadata["or-envs"] = json.dumps(header)
    save_file(tensors, path, metadata)
    _refused(capsys, exported, "model.safetensors")


@pytest.mark.parametrize(
    ("file", "change", "parts"),
    [
        ("config.json", lambda config: config.pop("algo"), ["config: ", "'algo'"]),
        ("config.json", lambda config: config.update(algo="ppo"), ["HDPO", "PPO"]),
        ("config.json", lambda config: config.update(env="Chess-v0"), ["env", "Chess-v0"]),
        ("config.json", lambda config: config.update(seed="0"), ["seed", "'0'"]),
        (
            "config.json",
            lambda config: config["env_kwargs"].update(instance="x"),
            ["env-kwargs", "instance"],
        ),
        (
            "results.json",
            lambda results: results.pop("evaluation"),
            ["results.json", "'evaluation'"],
        ),
        (
            "results.json",
            lambda results: results["evaluation"].update(cost=[1.0, 2.0, 3.0]),
            ["cost", "interval"],
        ),
        (
            "results.json",
            lambda results: results["evaluation"].update(
                env="or_envs/TSP-v0", env_kwargs={"num_cities": 9}
            ),
            ["observation_space"],
        ),
    ],
)
def test_damaged_settings(file, change, parts, exported, capsys):
    data = json.loads((exported / file).read_text())
    change(data)
    (exported / file).write_text(json.dumps(data))
    _refused(capsys, exported, *parts)


@pytest.mark.parametrize("name", ["config.json", "results.json", "model.safetensors"])
def test_missing_and_cut_files(name, exported, capsys):
    content = (exported / name).read_bytes()
    (exported / name).write_bytes(content[:40])
    _refused(capsys, exported, name)
    (exported / name).unlink()
    _refused(capsys, exported, name, "or-bench export")


def test_no_source_loads_what_can_hold_code():
    calls = re.compile(
        r"pickle\.loads?\(|torch\.load\(|joblib\.load\(|allow_pickle=True|yaml\.(unsafe_)?load\("
        r"|(?<![.\w])(eval|exec)\("
    )
    for package in ("or_envs", "agents", "baselines", "benchmarks"):
        for path in (SOURCES / package).rglob("*.py"):
            assert not calls.search(path.read_text(encoding="utf-8")), path
