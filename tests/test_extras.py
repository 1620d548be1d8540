"""A missing package is named with the extra that brings it, in one line."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import or_envs
from baselines.registration import make
from benchmarks.cli import main
from or_envs import extras
from or_envs.extras import MissingExtraError, extra_of

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def _expanded(extra):
    """The requirements of an extra, and of the extras that it names."""
    for requirement in EXTRAS[extra]:
        if match := re.match(r"or-envs\[(.*)\]", requirement):
            for name in match[1].split(","):
                yield from _expanded(name)
        else:
            yield requirement


def _metadata():
    """The requirements that a build of this very tree declares."""
    for extra in EXTRAS:
        for requirement in sorted(set(_expanded(extra))):
            yield f"{requirement}; extra == '{extra}'"


@pytest.fixture
def declared(monkeypatch):
    lines = [*PROJECT["dependencies"], *_metadata()]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "agents"),
        ("torch.nn", "agents"),
        ("stable_baselines3", "agents"),
        ("sb3_contrib", "agents"),
        ("torch_geometric", "agents"),
        ("rich", "agents"),
        ("matplotlib.figure", "plot"),
        ("pyomo.environ", "solvers"),
        ("highspy", "solvers"),
        ("scipy", "solvers"),
        ("fast_tsp", "solvers"),
        ("pymoo", "solvers"),
        ("ortools.sat.python", "cp"),
        ("elkai", "lkh"),
        ("ray", "cluster"),
        ("yaml", "bench"),
        ("optuna", "tune"),
        ("tensorboard", "tensorboard"),
        ("wandb", "wandb"),
        ("mlflow", "mlflow"),
        ("numpy", None),
        ("nobody", None),
    ],
)
def test_the_smallest_extra(declared, module, extra):
    assert extra_of(module) == extra


def test_everything_in_all_has_an_extra_of_its_own(declared):
    for line in importlib.metadata.requires("or-envs"):
        if "extra == 'all'" in line:
            name = re.match(r"[\w.-]+", line)[0]
            assert extra_of(name) not in (None, "all"), name


def test_the_message(declared):
    error = MissingExtraError("the genetic algorithm", "pymoo.core")
    assert str(error) == "the genetic algorithm needs pymoo: pip install 'or-envs[solvers]'"
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "pymoo.core"
    assert str(MissingExtraError("x", "my_module")) == "x needs my-module, which is not installed"


def test_a_source_tree_that_is_not_installed(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert extras.extra_of("torch") is None


LOT_SIZING = ["--env", "or_envs/LotSizing-v0", "--env-kwargs", "instance:VI-A", "horizon:3"]
TSP = ["--env", "or_envs/TSP-v0", "--env-kwargs", "num_cities:5"]
SHOP = ["--env", "or_envs/JobShop-v0"]


@pytest.mark.parametrize(
    ("arguments", "blocked", "distribution", "extra"),
    [
        (["train", "--algo", "ppo", *LOT_SIZING], "torch", "torch", "agents"),
        (
            ["train", "--algo", "ppo", *LOT_SIZING],
            "stable_baselines3",
            "stable-baselines3",
            "agents",
        ),
        (["leaderboard", "--suite", "standard"], "rich", "rich", "agents"),
        (["evaluate", "lot_sizing/genetic", *LOT_SIZING], "pymoo", "pymoo", "solvers"),
        (
            ["evaluate", "lot_sizing/perfect_information", *LOT_SIZING, "--sees-future"],
            "pyomo",
            "pyomo",
            "solvers",
        ),
        (["evaluate", "routing/fast_tsp", *TSP], "fast_tsp", "fast-tsp", "solvers"),
        (["evaluate", "routing/assignment_bound", *TSP], "scipy", "scipy", "solvers"),
        (["evaluate", "routing/lkh", *TSP], "elkai", "elkai", "lkh"),
        (["evaluate", "job_shop/constraint_programming", *SHOP], "ortools", "ortools", "cp"),
        (
            ["enjoy", "lot_sizing/idle", *LOT_SIZING, "--output", "x.png"],
            "matplotlib",
            "matplotlib",
            "plot",
        ),
        (["leaderboard", "--suite", "standard"], "yaml", "pyyaml", "bench"),
    ],
)
def test_commands_name_the_extra(tmp_path, arguments, blocked, distribution, extra):
    """In a process of its own, in which nothing of the package has been imported yet."""
    script = f"""
import importlib.metadata, sys
lines = {list(_metadata())!r}
importlib.metadata.requires = lambda name: lines
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from benchmarks.cli import main
sys.exit(main({arguments!r}))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("or-bench: error: ")
    assert line.endswith(f"needs {distribution}: pip install 'or-envs[{extra}]'")


def test_libraries_name_the_extra(declared, monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_tsp", None)
    with pytest.raises(ModuleNotFoundError, match=r"FastTSP needs fast-tsp: .*or-envs\[solvers\]"):
        make("routing/fast_tsp", or_envs.make_problem("or_envs/TSP-v0"))


def test_an_own_contestant_that_is_missing(capsys):
    assert main(["evaluate", "nosuch_module:factory", *LOT_SIZING]) == 2
    text = capsys.readouterr().err
    assert (
        text == "or-bench: error: or-bench evaluate needs nosuch-module, which is not installed\n"
    )
