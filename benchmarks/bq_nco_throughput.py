"""BQ-NCO's training speed beside its reference's.

Run ``python -m benchmarks.bq_nco_throughput CHECKOUT``.

``CHECKOUT`` is a working copy of naver/bq-nco (arXiv 2301.03313; not for commercial use), whose own
data loader, network and optimiser step run in this process on one core. Both sides train the same
network on sub-problems of uniformly random size of the same random tours. The result goes to
standard output; seconds are those of the processor, so that other processes make no difference.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.labels import Labels
from or_envs.core.sb3 import make_sb3_vec_env
from or_envs.routing.tsp import TSPInstance

COLUMNS = ("cities", "layers x width", "batch", "code", "subproblems_per_cpu_second", "ratio")
#: Cities, layers, width, heads, width of the feed-forward part, sub-problems per batch, batches.
CASES = (
    (20, 3, 128, 8, 256, 512, 20),
    (50, 3, 128, 8, 256, 512, 12),
    (50, 9, 192, 12, 512, 256, 4),
    (100, 9, 192, 12, 512, 128, 4),
)
REPEATS = 3

#: Trains on some batches; returns how many sub-problems they held.
Work = Callable[[], int]


def reference(coordinates: np.ndarray, case: Sequence[int], folder: Path) -> Work:
    """Return a call that trains the reference."""
    cities, layers, width, heads, feed_forward, batch, batches = case
    model: Any = importlib.import_module("model.model")
    dataset: Any = importlib.import_module("learning.tsp.dataloading.dataset")
    closed = np.concatenate([coordinates, coordinates[:, :1]], axis=1)
    file = folder / f"{cities}-{batch}.npz"
    np.savez(file, coords=closed, reorder=True, tour_lens=np.ones(len(closed)))
    loader = dataset.load_dataset(file, batch, True, "train")
    net = model.BQModel(2, width, feed_forward, "relu", layers, heads, "softmax", 0.0, False, "tsp")
    loss = torch.nn.CrossEntropyLoss()
    adam = torch.optim.Adam(net.parameters(), lr=2.5e-4)

    def train() -> int:
        done = 0
        for data in _first(loader, batches):
            adam.zero_grad()
            scores = net(data["nodes_coord_s"])
            loss(scores, torch.ones(len(scores), dtype=torch.long)).backward()
            adam.step()
            done += len(scores)
        return done

    return train


def _first(loader: Any, batches: int) -> Iterator[Any]:
    for number, data in enumerate(loader):
        if number == batches:
            return
        yield data


def own(
    coordinates: np.ndarray, case: Sequence[int], folder: Path, modern: bool, precision: str
) -> Work:
    """Return a call that trains ours: the published network, or the default one of that size."""
    cities, layers, width, heads, feed_forward, batch, batches = case
    instance = TSPInstance.euclidean(coordinates)
    file = folder / "labels.npz"
    Labels(instance, np.tile(np.arange(1, cities), (len(coordinates), 1))).save(file)
    shape: dict[str, Any] = {"layers": layers, "dim": width, "heads": heads}
    shape |= {"feed_forward": feed_forward, "precision": precision}
    published = {"scaled": False, "normalization": "rezero", "canonical": False}
    env = make_sb3_vec_env("or_envs/TSP-v0", 1, 0, num_cities=cities)
    model = BQNCO(
        "BQPolicy",
        env,
        seed=0,
        device="cpu",
        policy_kwargs=shape if modern else {**shape, **published},
    )
    data = model.subproblems(Labels.load(file, model.env.get_attr("problem")[0]))  # type: ignore[union-attr]
    rng = torch.Generator().manual_seed(0)
    # Batches have a constant number of tokens; this is the reference's mean.
    tokens = batch * (cities + 5) // 2

    def train() -> int:
        done = 0
        for _ in range(batches):
            draw = data.draw(rng, tokens)
            model.update(draw)
            done += draw.state.num
        return done

    return train


def speed(train: Work) -> float:
    """Sub-problems per second of the processor, over ``REPEATS`` times."""
    train()
    start = time.process_time()
    done = sum(train() for _ in range(REPEATS))
    return done / (time.process_time() - start)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="folder with the reference's train_tsp.py")
    checkout = parser.parse_args(arguments).checkout.resolve()
    if not (checkout / "train_tsp.py").is_file():
        parser.error(f"checkout: expected a folder that holds train_tsp.py, got {checkout}")
    torch.set_num_threads(1)
    sys.path.insert(0, str(checkout))
    # The reference imports it for an activation that is not the published one.
    sys.modules.setdefault("entmax", types.ModuleType("entmax"))
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            cities, layers, width, *_, batch, batches = case
            coordinates = np.random.default_rng(0).random((batch * batches, cities, 2))
            contestants = {
                "reference": reference(coordinates, case, Path(folder)),
            }
            for name, modern in (("published network", False), ("default network", True)):
                for precision in ("float32", "bfloat16"):
                    contestants[f"{name}, {precision}"] = own(
                        coordinates, case, Path(folder), modern, precision
                    )
            speeds = {name: speed(train) for name, train in contestants.items()}
            for name, value in speeds.items():
                ratio = f"{value / speeds['reference']:.2f}"
                writer.writerow((cities, f"{layers} x {width}", batch, name, f"{value:.1f}", ratio))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
