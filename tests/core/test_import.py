"""Importing the package stays light, and registration works as gymnasium has it."""

import subprocess
import sys

import gymnasium as gym

import or_envs


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_is_light():
    heavy = "torch numba pyomo matplotlib stable_baselines3 torch_geometric ortools scipy"
    code = f"import or_envs, sys; print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert run(code) == "[]"


def test_module_prefixed_make():
    code = "import gymnasium; print(gymnasium.make('or_envs:or_envs/TSP-v0').action_space)"
    assert run(code) == "Discrete(50)"


def test_registering_an_own_problem():
    or_envs.register("tests/SmallTSP-v0", "or_envs.routing.tsp:TSP", num_cities=4)
    assert gym.make("tests/SmallTSP-v0").action_space.n == 4
    assert or_envs.make_problem("tests/SmallTSP-v0", num_cities=5).num_cities == 5
    assert gym.make_vec("tests/SmallTSP-v0", 3).unwrapped.num_envs == 3
