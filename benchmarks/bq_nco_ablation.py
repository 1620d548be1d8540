"""What losses and optimisers are worth: ``python -m benchmarks.bq_nco_ablation LABELS``.

BQ-NCO imitates the same labels of the TSP with the same draws, network and number of sub-problems;
arms differ in the optimiser, its learning rate and the weight of the loss of neighbours. What
counts is the gap of greedy tours on Kool's instances to those of a solver, the interquartile mean
over seeds with a bootstrap interval.
"""

from __future__ import annotations

import argparse
import csv
import io
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

import or_envs
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.search import decoder
from benchmarks.construction_gaps import baseline, decode
from benchmarks.files import write_atomically
from benchmarks.problems import build_problem
from benchmarks.statistics import interquartile_mean, stratified_bootstrap
from or_envs.core.sb3 import make_sb3_vec_env

#: Optimiser, learning rate, weight of the loss of neighbours.
ARMS = (
    ("adam", 0.001, 0.0),
    ("adam", 0.002, 0.0),
    ("adam", 0.001, 4.0),
    ("muon", 0.002, 0.0),
    ("muon", 0.002, 4.0),
)
COLUMNS = ("optimizer", "learning_rate", "adjacency", "seed", "gap_percent", "seconds")


def train(
    arm: tuple[str, float, float], seed: int, labels: str, cities: int, timesteps: int, num: int
) -> tuple[np.ndarray, float]:
    """Costs of greedy tours on ``num`` instances, and the training's processor time."""
    torch.set_num_threads(1)  # there is a process for every core
    optimizer, rate, adjacency = arm
    model = BQNCO(
        "BQPolicy",
        make_sb3_vec_env("or_envs/TSP-v0", 1, 0, num_cities=cities),
        labels=[labels],
        learning_rate=rate,
        adjacency=adjacency,
        policy_kwargs={"precision": "bfloat16", "optimizer": optimizer},
        seed=seed,
        device="cpu",
    )
    start = time.process_time()
    model.learn(timesteps)
    seconds = time.process_time() - start
    problem = build_problem("or_envs/TSP-v0", {"num_cities": cities, "instance": "kool"})
    instance, _ = or_envs.sample(problem, 0, num)
    return decode(decoder("greedy", model.policy, problem), problem, instance, "cpu"), seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per arm and write all runs as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", help="file of solved instances, see benchmarks.labels")
    parser.add_argument("--cities", type=int, default=20, help="of the instances")
    parser.add_argument("--seeds", type=int, default=5, help="per arm")
    parser.add_argument("--timesteps", type=int, default=1_000_000, help="sub-problems")
    parser.add_argument("--num", type=int, default=1000, help="instances of the test")
    parser.add_argument("--reference", default="routing/iterated_local_search")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--output", type=Path, default=Path("results/bq-nco-ablation.csv"))
    args = parser.parse_args(arguments)
    problem = build_problem("or_envs/TSP-v0", {"num_cities": args.cities, "instance": "kool"})
    instance, _ = or_envs.sample(problem, 0, args.num)
    reference = baseline(args.reference, problem, instance, {})
    runs = [(arm, seed) for seed in range(args.seeds) for arm in ARMS]
    gaps: dict[tuple[str, float, float], list[float]] = {arm: [] for arm in ARMS}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    processes = ProcessPoolExecutor(args.workers, mp_context=multiprocessing.get_context("spawn"))
    with processes as pool:
        same = (args.labels, args.cities, args.timesteps, args.num)
        waiting = [pool.submit(train, arm, seed, *same) for arm, seed in runs]
        for (arm, seed), future in zip(runs, track(waiting, "training"), strict=True):
            costs, seconds = future.result()
            gap = 100 * float(((costs - reference) / reference).mean())
            gaps[arm].append(gap)
            writer.writerow([*arm, seed, f"{gap:.4f}", f"{seconds:.1f}"])
            write_atomically(args.output, text.getvalue())
    for (optimizer, rate, adjacency), values in gaps.items():
        found = stratified_bootstrap(interquartile_mean, [np.array(values)])
        interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
        print(f"{optimizer} {rate}, adjacency {adjacency}: gap {found.value:.2f} %{interval}")


if __name__ == "__main__":
    main()
