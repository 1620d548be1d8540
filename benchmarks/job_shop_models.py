"""Make the job-shop models: labels, cloning, training, table.

``python -m benchmarks.job_shop_models small`` makes the model that comes with the package, in a
folder of ``--output``; what is there already is not made again. It takes less than half an hour on
two cores. ``large`` is the graph encoder on larger shops, for a GPU (``--device cuda``), with
labels from all cores before.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import job_shop_labels, job_shop_table, recipes

ENV = "or_envs/JobShop-v0"


@dataclasses.dataclass(frozen=True)
class Model:
    """How a model is made and judged.

    Attributes
    ----------
    env_kwargs
        Shops that it is trained on.
    labels
        How many shops of this kind without shutdowns are scheduled for it to imitate.
    completions
        Of the pilot that schedules them.
    timesteps, hyperparams
        Of the training.
    groups
        Published instances of the table.
    """

    env_kwargs: dict[str, Any]
    labels: int
    completions: int
    timesteps: int
    hyperparams: dict[str, Any]
    groups: tuple[str, ...]


#: Every episode has one of these; a number that stands twice is twice as likely.
_P_DOWN = [0.0, 0.0, 0.05, 0.1, 0.2]

MODELS: dict[str, Model] = {
    "small": Model(
        {"blocking": "swap", "num_jobs": 10, "num_machines": 5, "p_down": _P_DOWN},
        10_000,
        64,
        5_000_000,
        {},
        ("LA01-05", "LA16-20"),
    ),
    "large": Model(
        {
            "blocking": "swap",
            "num_jobs": [10, 15],
            "num_machines": [5, 15],
            "p_down": _P_DOWN,
            "observation": "graph",
        },
        5000,
        64,
        200_000_000,
        {
            "policy": "JobGraph",
            "groups": 128,
            "batch_size": 16384,
            "policy_kwargs": {"width": 128, "layers": 3},
        },
        tuple(job_shop_table.GROUPS),
    ),
}


def make(name: str, folder: Path, workers: int, device: str, fraction: float) -> Path:
    """Make one model, in ``folder``/model; returns its table."""
    model = MODELS[name]
    folder.mkdir(parents=True, exist_ok=True)
    labels = folder / "labels.npz"
    if not labels.is_file():
        job_shop_labels.main(
            [
                *(
                    "--env",
                    ENV,
                    "--env-kwargs",
                    *recipes.pairs({**model.env_kwargs, "p_down": 0.0}),
                ),
                *("--settings", *recipes.pairs({"completions": model.completions})),
                *("--num", str(max(int(model.labels * fraction), 10))),
                *("--workers", str(workers), "--output", str(labels)),
            ]
        )
    trained = recipes.train(
        "gnn_ppo",
        ENV,
        model.env_kwargs,
        max(int(model.timesteps * fraction), 1000),
        {**model.hyperparams, "labels": [str(labels)]},
        folder / "run",
        device,
    )
    shutil.copytree(trained, folder / "model", dirs_exist_ok=True)
    table = folder / "table.csv"
    recipes.write_table(
        table,
        job_shop_table.main,
        [
            *(str(folder / "model"), "--num", str(max(int(512 * fraction), 4))),
            *("--completions", str(max(int(64 * fraction), 2))),
            *("--groups", *model.groups),
        ],
    )
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Make models and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=list(MODELS))
    parser.add_argument("--output", type=Path, default=Path("runs/job_shop"))
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes for labels")
    parser.add_argument("--device", default="cpu", help="of torch, for training")
    parser.add_argument("--fraction", type=float, default=1.0, help="of everything, to try it out")
    args = parser.parse_args(arguments)
    for name in args.names:
        table = make(name, args.output / name, args.workers, args.device, args.fraction)
        print(f"{name}\n{table.read_text()}")


if __name__ == "__main__":
    main()
