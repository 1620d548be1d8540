import subprocess
import sys

import pytest
from PIL import Image

from benchmarks.cli import main

from .helpers import FAKES, bench

LOT_SIZING = ["--env", "or_envs/LotSizing-v0", "--env-kwargs", "instance:VI-A", "horizon:5"]


def _error(capsys, *arguments):
    """Exit code 2, one line on stderr, no traceback."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as exit:
        code = exit.code
    text = capsys.readouterr().err
    assert code == 2
    assert len(text.strip().splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["dance"], ["dance", "train", "enjoy"]),
        (["train", "--algo", "sarsa", *LOT_SIZING], ["algo", "sarsa", "ppo_mask"]),
        (["train", "--algo", "ppo"], ["--env", "--resume"]),
        (["train", "--algo", "ppo", "--env", "Chess-v0"], ["env", "Chess-v0", "or_envs/TSP-v0"]),
        (["train", "--algo", "ppo", *LOT_SIZING, "--seed", "-1"], ["--seed", "-1", ">= 0"]),
        (["train", "--algo", "ppo", *LOT_SIZING, "--timesteps", "x"], ["--timesteps", "'x'"]),
        (["train", "--resume", "nowhere"], ["resume", "nowhere", "config.yml"]),
        (
            ["evaluate", "lot_sizing/idle", *LOT_SIZING[:3], "x"],
            ["--env-kwargs", "key:value", "'x'"],
        ),
        (
            ["evaluate", "lot_sizing/idle", *LOT_SIZING[:3], "instance:9x9"],
            ["env-kwargs", "instance", "15x5", "9x9"],
        ),
        (["evaluate", "lot_sizing/magic", *LOT_SIZING], ["magic", "lot_sizing/greedy"]),
        (["evaluate", "ppo", *LOT_SIZING], ["ppo", "trained"]),
        (["evaluate", "gone.safetensors", *LOT_SIZING], ["gone.safetensors"]),
        (["evaluate", f"{FAKES}:outside", *LOT_SIZING], ["action", "99"]),
        (["evaluate", f"{FAKES}:Planner", *LOT_SIZING], ["exogenous"]),
        (["evaluate", "lot_sizing/idle", *LOT_SIZING, "--sees-future"], ["sees_future"]),
        (["leaderboard", "--suite", "nosuch"], ["suite", "standard", "nosuch"]),
        (["leaderboard", "--suite", "tiny", "--workers", "0"], ["--workers", "'0'"]),
        (
            ["enjoy", "lot_sizing/idle", *LOT_SIZING, "--output", "film.avi"],
            ["output", "film.avi", ".gif", ".mp4", ".png"],
        ),
        (["enjoy", "lot_sizing/idle"], ["env", "--env"]),
        (["enjoy", "model.zip", *LOT_SIZING], ["model.zip", "pickles", ".safetensors"]),
        (["evaluate", "policy.pt", *LOT_SIZING], ["policy.pt", "pickles", ".safetensors"]),
        (["evaluate", "agent.PKL", *LOT_SIZING], ["agent.PKL", "pickles", ".safetensors"]),
        (["evaluate", "lot_sizing/idle", "--check"], ["lot_sizing/idle", "bq_nco-CVRP-20"]),
        (["export", "nobody", "--output", "x"], ["nobody", "bq_nco-CVRP-20"]),
        (["import", "nowhere"], ["folder", "nowhere"]),
    ],
)
def test_bad_input_is_one_line_that_names_flag_value_and_what_is_allowed(
    capsys, monkeypatch, tmp_path, arguments, parts
):
    monkeypatch.chdir(tmp_path)
    text = _error(capsys, *arguments)
    for part in parts:
        assert part in text
    assert list(tmp_path.iterdir()) == []


def test_list(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    names = ("or_envs/LotSizing-v0", "VI-C", "num_cities: 50", "pdppo", "lot_sizing/greedy")
    for name in (*names, "bq_nco-CVRP-20"):
        assert name in text
    assert "standard" in text


def test_list_does_not_load_the_heavy_libraries():
    result = bench("list")
    assert result.returncode == 0
    code = "import sys, benchmarks.cli as c; c.main(['list']); print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = set(loaded.stdout.splitlines()[-1].split())
    # Not all of scipy: numba, which the job shop's dynamics are written in, asks for its version.
    heavy = {"torch", "matplotlib", "stable_baselines3", "pyomo", "scipy.optimize", "pymoo"}
    assert not modules & heavy


def test_evaluate_prints_cost_interval_and_time(capsys):
    assert main(["evaluate", f"{FAKES}:idle", *LOT_SIZING, "--episodes", "7"]) == 0
    text = capsys.readouterr().out
    assert "95 % interval" in text
    assert "7 episodes" in text
    assert "decision" in text


@pytest.mark.parametrize(("end", "frames"), [("gif", 6), ("png", 1)])
def test_enjoy(capsys, tmp_path, end, frames):
    path = tmp_path / f"episode.{end}"
    assert main(["enjoy", f"{FAKES}:idle", *LOT_SIZING, "--output", str(path)]) == 0
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == frames
        assert image.size == (900, 600)
    assert [path] == list(tmp_path.iterdir())


def test_enjoy_a_model_of_the_zoo(capsys, tmp_path, monkeypatch):
    """The episode of seed 0 costs what its evaluation says."""
    monkeypatch.chdir(tmp_path)
    name = "hdpo-SingleStoreLostSales-poisson-L4-p9"
    assert main(["enjoy", name, "--env-kwargs", "horizon:8", "warm_up:2"]) == 0
    shown = capsys.readouterr().out
    with Image.open(tmp_path / f"{name}.gif") as image:
        assert image.n_frames == 9
    arguments = ["evaluate", name, "--env-kwargs", "horizon:8", "warm_up:2", "--episodes", "1"]
    assert main(arguments) == 0
    assert shown.split(",")[0] == capsys.readouterr().out.split(",")[0]


def test_enjoy_as_mp4(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "episode.mp4"
    assert main(["enjoy", f"{FAKES}:idle", *LOT_SIZING, "--output", str(path)]) == 0
    film = ffmpeg.read_frames(str(path))
    about = next(film)
    assert (about["size"], about["fps"], len(list(film))) == ((900, 600), 4.0, 6)


def test_mp4_without_its_package_names_the_extra(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    text = _error(
        capsys, "enjoy", f"{FAKES}:idle", *LOT_SIZING, "--output", tmp_path / "episode.mp4"
    )
    assert "or-envs[video]" in text
    assert list(tmp_path.iterdir()) == []


def test_enjoy_a_plan(tmp_path):
    path = tmp_path / "tour.png"
    arguments = ["routing/fast_tsp", "--env", "or_envs/TSP-v0", "--env-kwargs", "num_cities:6"]
    assert main(["enjoy", *arguments, "--output", str(path)]) == 0
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("name", ["cuda", "abacus"])
def test_devices_that_are_not_there(name, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = ["train", "--algo", "hdpo", "--env", "or_envs/SingleStoreLostSales-v0"]
    assert main([*arguments, "--device", name]) == 2
    assert "device: " in capsys.readouterr().err
