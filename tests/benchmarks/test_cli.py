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
        (["dance"], ["dance", "train", "render"]),
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
        (["leaderboard", "--suite", "nosuch"], ["suite", "smoke", "nosuch"]),
        (["leaderboard", "--suite", "tiny", "--workers", "0"], ["--workers", "'0'"]),
        (
            ["render", "lot_sizing/idle", *LOT_SIZING, "--output", "film.mp4"],
            ["output", "film.mp4", ".gif", ".png"],
        ),
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
    for name in ("or_envs/LotSizing-v0", "VI-C", "num_cities: 50", "pdppo", "lot_sizing/greedy"):
        assert name in text
    assert "smoke" in text


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
def test_render(capsys, tmp_path, end, frames):
    path = tmp_path / f"episode.{end}"
    assert main(["render", f"{FAKES}:idle", *LOT_SIZING, "--output", str(path)]) == 0
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == frames
        assert image.size == (900, 600)


def test_render_a_plan(tmp_path):
    path = tmp_path / "tour.png"
    arguments = ["routing/fast_tsp", "--env", "or_envs/TSP-v0", "--env-kwargs", "num_cities:6"]
    assert main(["render", *arguments, "--output", str(path)]) == 0
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("name", ["cuda", "abacus"])
def test_devices_that_are_not_there(name, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = ["train", "--algo", "hdpo", "--env", "or_envs/SingleStoreLostSales-v0"]
    assert main([*arguments, "--device", name]) == 2
    assert "device: " in capsys.readouterr().err
