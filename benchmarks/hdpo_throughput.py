"""HDPO's training speed beside its reference's: ``python -m benchmarks.hdpo_throughput CHECKOUT``.

``CHECKOUT`` is a working copy of MatiasAlvo/Neural_inventory_control (arXiv 2306.11246), whose own
trainer, simulator and networks run on its own settings, in this process, on one core. Both sides do
the same work: roll out 50 periods, differentiate, step Adam. The result goes to standard output.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from agents.hdpo.hdpo import HDPO
from agents.hdpo.scenarios import Scenarios
from or_envs.core.sb3 import make_sb3_vec_env

PERIODS = 50
BATCHES = 4
REPEATS = 3
COLUMNS = ("setting", "policy", "batch", "code", "scenario_periods_per_second", "ratio")


class Case(NamedTuple):
    """A setting and a policy, in the reference's names and in ours."""

    setting: str
    hyperparameters: str
    num_stores: int
    env_id: str
    instance: str
    policy: str
    policy_kwargs: dict[str, Any]
    batches: tuple[int, ...]


CASES = (
    Case(
        "one_store_lost",
        "vanilla_one_store",
        1,
        "or_envs/SingleStoreLostSales-v0",
        "poisson-L4-p9",
        "MlpPolicy",
        {"net_arch": [32, 32, 32]},
        (1024, 8192),
    ),
    Case(
        "one_warehouse_lost_demand",
        "gnn",
        10,
        "or_envs/OneWarehouse-v0",
        "n10",
        "GNN",
        {},
        (128, 1024),
    ),
)


def reference(case: Case, batch: int) -> Callable[[], object]:
    """Return a call that trains the reference on ``BATCHES`` batches."""
    trainer: Any = importlib.import_module("trainer")
    setting = yaml.safe_load(Path(f"config_files/settings/{case.setting}.yml").read_text())
    path = Path(f"config_files/policies_and_hyperparams/{case.hyperparameters}.yml")
    network = yaml.safe_load(path.read_text())["nn_params"]
    setting["problem_params"]["n_stores"] = case.num_stores
    parts = ("problem_params", "store_params", "warehouse_params", "echelon_params")
    observation = defaultdict(lambda: None, setting["observation_params"])
    scenario = trainer.Scenario(
        PERIODS,
        *(setting[part] for part in parts),
        batch * BATCHES,
        observation,
        setting["seeds"],
    )
    data = trainer.DatasetCreator().create_datasets(scenario, split=False)
    loader = trainer.DataLoader(data, batch_size=batch, shuffle=True)
    model = trainer.NeuralNetworkCreator().create_neural_network(scenario, network, device="cpu")
    loop = trainer.Trainer(device="cpu")
    simulator, loss = trainer.Simulator(device="cpu"), trainer.PolicyLoss()

    def train(optimizer: Any) -> None:
        problem = setting["problem_params"]
        arguments = (optimizer, loader, loss, simulator, model, PERIODS, problem, observation)
        loop.do_one_epoch(*arguments, train=True, ignore_periods=30)

    train(_Idle())  # The layers get their parameters in the first call.
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return lambda: train(adam)


class _Idle:
    """Stands for an optimiser while there are no parameters yet."""

    def zero_grad(self) -> None:
        """Do nothing."""

    def step(self) -> None:
        """Do nothing."""


def own(case: Case, batch: int, compile_periods: int) -> Callable[[], object]:
    """Return a call that trains ours on ``BATCHES`` batches."""
    env = make_sb3_vec_env(case.env_id, 1, 0, instance=case.instance)
    num = batch * BATCHES
    model = HDPO(
        case.policy,
        env,
        seed=0,
        n_periods=PERIODS,
        num_scenarios=num,
        batch_size=batch,
        compile_periods=compile_periods,
        device="cpu",
        policy_kwargs=case.policy_kwargs,
    )
    scenarios = Scenarios(model._problem().with_horizon(PERIODS), 0, num, model.device)

    def train() -> None:
        for _ in range(BATCHES):
            model.update(scenarios)

    return train


def speed(train: Callable[[], object], batch: int) -> float:
    """Scenario-periods per second, the best of ``REPEATS``."""
    train()
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        train()
        best = min(best, time.perf_counter() - start)
    return batch * BATCHES * PERIODS / best


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="folder with the reference's main_run.py")
    checkout = parser.parse_args(arguments).checkout.resolve()
    if not (checkout / "trainer.py").is_file():
        parser.error(f"checkout: expected a folder that holds trainer.py, got {checkout}")
    torch.set_num_threads(1)
    # The reference finds modules and settings from its own folder, and parses an argument.
    os.chdir(checkout)
    sys.path.insert(0, str(checkout))
    sys.argv = ["main_run.py", "train"]
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for case in CASES:
        for batch in case.batches:
            speeds = {
                "reference": speed(reference(case, batch), batch),
                "eager": speed(own(case, batch, 0), batch),
                "compiled": speed(own(case, batch, 10), batch),
            }
            for code, value in speeds.items():
                ratio = value / speeds["reference"]
                row = (case.setting, case.policy, batch, code, round(value), f"{ratio:.2f}")
                writer.writerow(row)
                sys.stdout.flush()


if __name__ == "__main__":
    main()
