"""The table of agents."""

import importlib
import inspect
import subprocess
import sys

import pytest
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import registration
from agents.common.safe_files import SafeFiles
from agents.registration import TABLE, agent_class


@pytest.mark.parametrize("name", TABLE)
def test_every_name_gives_an_algorithm_with_safe_files(name):
    cls = agent_class(name)
    assert issubclass(cls, BaseAlgorithm)
    assert cls.save is SafeFiles.save
    assert cls.load.__func__ is SafeFiles.load.__func__
    # The referee asks ADP for its rule and hands out masks to those whose predict takes them.
    masks = "action_masks" in inspect.signature(cls.predict).parameters
    assert masks == (name not in ("adp", "bq_nco", "expo", "hdpo", "pmoe_sac", "ppo", "rlpd"))


def test_unknown_name():
    names = (
        "adp, bq_nco, expo, gnn_ppo, hdpo, ppo, ppo_mask, pmoe_ppo, pmoe_sac, props, pdppo, rlpd"
    )
    with pytest.raises(ValueError, match=f"expected one of {names}, got 'dqn'"):
        agent_class("dqn")


def test_missing_extra(monkeypatch):
    def missing(module):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"'ppo' needs torch: .*or-envs\[agents\]"):
        agent_class("ppo")


def test_table_needs_no_extra():
    """Listing the agents imports neither torch nor SB3; the adapter names what it misses."""
    script = """
import sys
for name in ("torch", "stable_baselines3"):
    sys.modules[name] = None
from agents.registration import TABLE
try:
    import or_envs.core.sb3
except ModuleNotFoundError as error:
    assert "pip install 'or-envs[agents]'" in str(error), error
else:
    raise AssertionError
"""
    assert registration.TABLE is TABLE
    subprocess.run([sys.executable, "-c", script], check=True)
