"""Exact optimality gaps of trained agents on lost sales: ``python -m benchmarks.exact_gap RUN...``.

The policy of every folder that ``or-bench train`` made for one store is
tabulated over all states and its average cost computed without sampling, and so is the optimum.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines.inventory import laws
from baselines.inventory.lost_sales import LostSales
from benchmarks.files import write_atomically
from benchmarks.players import load_model
from benchmarks.problems import build_problem
from or_envs.inventory.single_store import SingleStoreLostSales

COLUMNS = ("instance", "model", "optimal", "cost", "gap_percent", "train_seconds")
#: Where orders of a learned policy are cut off; with mean demand 5 none comes near it.
LARGEST_ORDER = 16


def exact_gap(problem: SingleStoreLostSales, model: Any) -> tuple[float, float]:
    """Optimal average cost, and that of a policy with ``predict``.

    Parameters
    ----------
    problem
        One store; its lead time decides how many states there are.
    model
        Decides on observations.
    """
    data = problem.setting.data
    arguments = (
        int(data.lead_time[0, 0]),
        float(data.holding_cost[0, 0]),
        float(data.shortage_cost[0, 0]),
        laws.of_store(problem),
    )
    optimal = LostSales(*arguments).solve()
    # A learned policy may order more than an optimal one would.
    learned = LostSales(
        *arguments, largest_stock=4 + len(optimal.orders), largest_order=LARGEST_ORDER
    )

    def policy(states: np.ndarray) -> np.ndarray:
        # The pipeline's last slot is empty before the decision.
        seen = np.concatenate([states, np.zeros((len(states), 1))], axis=1) / problem.scale
        parts = np.array_split(seen.astype(np.float32), len(seen) // 50_000 + 1)
        return np.concatenate([model.predict(part, deterministic=True)[0][:, 0] for part in parts])

    return optimal.value, learned.evaluate(policy).value


def rows(folders: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """A line for every folder that ``or-bench train`` made."""
    from benchmarks.config import read_yaml
    from benchmarks.curve import TrainingCurve

    for folder in folders:
        config = read_yaml(folder / "config.yml")
        problem = build_problem(config["env"], {"instance": config["env_kwargs"]["instance"]})
        assert isinstance(problem, SingleStoreLostSales)
        model = load_model(folder / "model.safetensors", config["algo"], problem)
        optimal, cost = exact_gap(problem, model)
        yield {
            "instance": config["env_kwargs"]["instance"],
            "model": f"{config['algo']}, seed {config['seed']}",
            "optimal": round(optimal, 4),
            "cost": round(cost, 4),
            "gap_percent": round(100 * (cost / optimal - 1), 4),
            "train_seconds": round(TrainingCurve(folder / "curve.csv").seconds, 1),
        }


def main() -> None:
    """Print a table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--output", type=Path, default=Path("results/exact-gap.csv"))
    options = parser.parse_args()
    found = []
    for row in rows(options.folders):
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        found.append(row)
    gaps = [row["gap_percent"] for row in found]
    print(f"mean gap {np.mean(gaps):.3f} %, largest {max(gaps):.3f} %")
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    write_atomically(options.output, text.getvalue())


if __name__ == "__main__":
    main()
