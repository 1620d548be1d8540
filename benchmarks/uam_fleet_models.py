"""Make the agent of the fleet: imitation in rounds, training, table.

``python -m benchmarks.uam_fleet_models default`` makes the model that comes with the package, in a
folder of ``--output``; what is there already is not made again. In the first round a rule with bid
prices plays, in the others the agent of the round before, while the rule says what it would do. The
agent of the last round goes on to learn by PPO. Playing, it needs no bid prices.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import recipes, uam_fleet_table
from benchmarks.demonstrations import PreferringRule, make_demonstrations
from benchmarks.uam_fleet_table import ENV


@dataclasses.dataclass(frozen=True)
class Model:
    """How a model is made.

    Attributes
    ----------
    env_kwargs
        Days that it is trained on.
    teacher, settings
        Rule that it imitates.
    days
        How many of every round.
    timesteps, hyperparams
        Of the training after the last round.
    """

    env_kwargs: dict[str, Any]
    teacher: str
    settings: dict[str, Any]
    days: tuple[int, ...]
    timesteps: int
    hyperparams: dict[str, Any]


MODELS: dict[str, Model] = {
    "default": Model(
        {"preset": "default"},
        "uam_fleet/weighted_bid_price",
        {"num_tapes": 1, "step": 15.0},
        (60, 60),
        160_000,
        {},
    ),
}
#: Seed of the first day that is imitated, far from those of training and evaluation.
_FIRST_SEED = 1_000_000_000


def make(name: str, folder: Path, workers: int, device: str, fraction: float) -> Path:
    """Make one model, in ``folder``/model; returns its table."""
    model = MODELS[name]
    folder.mkdir(parents=True, exist_ok=True)
    seed, labels = _FIRST_SEED, []
    trained: Path | None = None
    for number, days in enumerate(model.days):
        num = max(int(days * fraction), 2)
        labels.append(folder / f"labels-{number}.npz")
        if not labels[-1].is_file():
            start = time.perf_counter()
            demonstrator = PreferringRule(
                ENV, model.env_kwargs, model.teacher, model.settings, player=trained
            )
            make_demonstrations(demonstrator, num, labels[-1], seed, workers)
            print(f"round {number}: {num} days in {time.perf_counter() - start:.0f} s", flush=True)
        seed += num
        last = number == len(model.days) - 1
        timesteps = max(int(model.timesteps * fraction), 1) if last else 1
        trained = recipes.train(
            "gnn_ppo",
            ENV,
            model.env_kwargs,
            timesteps,
            {**model.hyperparams, "labels": [str(path) for path in labels]},
            folder / f"run-{number}",
            device,
        )
    assert trained is not None
    shutil.copytree(trained, folder / "model", dirs_exist_ok=True)
    table = folder / "table.csv"
    num = max(int(100 * fraction), 2)
    arguments = [str(folder / "model"), "--num", str(num)]
    recipes.write_table(table, uam_fleet_table.main, arguments)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Make models and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=list(MODELS))
    parser.add_argument("--output", type=Path, default=Path("runs/uam_fleet"))
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes for labels")
    parser.add_argument("--device", default="cpu", help="of torch, for training")
    parser.add_argument("--fraction", type=float, default=1.0, help="of everything, to try it out")
    args = parser.parse_args(arguments)
    for name in args.names:
        table = make(name, args.output / name, args.workers, args.device, args.fraction)
        print(f"{name}\n{table.read_text()}")


if __name__ == "__main__":
    main()
