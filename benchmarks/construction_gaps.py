"""Gaps of a construction agent's decoders: ``python -m benchmarks.construction_gaps RUN``.

``RUN`` is a folder that ``or-bench train --algo bq_nco`` made. Every solution, of the agent and of
the baselines, is replayed through the environment on the same instances; a gap is the mean over
instances of (cost - reference) / |reference|. Times are wall-clock seconds per instance on this
machine: the agent solves all instances side by side, baselines one after the other.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

import or_envs
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.search import Construction, decoder
from baselines.registration import make
from benchmarks.cli import key_value
from benchmarks.problems import build_problem
from benchmarks.training import MODEL
from or_envs.core.problem import AnyProblem

COLUMNS = ("contestant", "instances", "cost", "gap_percent", "standard_error", "seconds_each")
#: Instances that a decoder solves at a time.
ROWS = 250


def decode(
    search: Callable[[Any], Construction], problem: AnyProblem, instance: Any, device: str
) -> np.ndarray:
    """Costs (B,) of the solutions, replayed."""
    costs = np.empty(instance.num)
    for start in range(0, instance.num, ROWS):
        rows = np.arange(start, min(start + ROWS, instance.num))
        some = instance.rows(rows)
        actions = search(some.to_torch(device, torch.float32)).actions.cpu().numpy()
        # After the end of an episode any action of the space will do.
        costs[rows] = -or_envs.simulate(problem, np.maximum(actions, 0), some).total_reward
    return costs


def baseline(
    name: str,
    problem: AnyProblem,
    instance: Any,
    settings: dict[str, Any],
    time_limit: float | None = None,
) -> np.ndarray:
    """Costs (B,) of a baseline, replayed; bounds as they are."""
    contestant = make(name, problem, 0, **settings)
    if not hasattr(contestant, "solve"):
        return np.asarray(-or_envs.simulate(problem, contestant, instance).total_reward)
    costs = np.empty(instance.num)
    for row in range(instance.num):
        one = instance.rows(np.array([row]))
        solution = contestant.solve(one, time_limit=time_limit)
        if solution.actions is None:
            costs[row] = solution.bound
        else:
            costs[row] = -or_envs.simulate(problem, solution.actions[None], one).total_reward[0]
    return costs


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a trained agent")
    parser.add_argument("--env-kwargs", nargs="+", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--num", type=int, default=1000, help="instances")
    parser.add_argument("--reference", required=True, help="baseline that gaps refer to")
    parser.add_argument("--reference-kwargs", nargs="+", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--reference-time-limit", type=float, help="seconds per instance")
    parser.add_argument("--baselines", nargs="*", default=[])
    parser.add_argument("--decoders", nargs="*", default=["greedy"])
    parser.add_argument("--device", default="cpu", help="of torch, for the agent")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    trained = yaml.safe_load((args.run / "config.yml").read_text())
    kwargs = {**trained["env_kwargs"], **dict(args.env_kwargs)}
    problem = build_problem(trained["env"], kwargs)
    model = BQNCO.load(args.run / MODEL, device=args.device)
    instance, _ = or_envs.sample(problem, 0, args.num)
    one = instance.rows(np.array([0]))
    settings = dict(args.reference_kwargs)
    limit = args.reference_time_limit
    reference = baseline(args.reference, problem, instance, settings, limit)
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)

    def report(name: str, run: Callable[[Any], np.ndarray]) -> None:
        run(one)  # compiles
        start = time.perf_counter()
        costs = run(instance)
        seconds = (time.perf_counter() - start) / args.num
        gaps = 100 * (costs - reference) / np.abs(reference)
        error = gaps.std(ddof=1) / np.sqrt(args.num)
        row = (f"{costs.mean():.6g}", f"{gaps.mean():.4f}", f"{error:.4f}", f"{seconds:.3g}")
        writer.writerow((name, args.num, *row))
        sys.stdout.flush()

    name = " ".join([args.reference, *(f"{k}:{v}" for k, v in settings.items())])
    report(name, lambda data: baseline(args.reference, problem, data, settings, limit))
    for name in args.baselines:
        report(name, lambda data, name=name: baseline(name, problem, data, {}))  # type: ignore[misc]
    for name in args.decoders:
        search = decoder(name, model.policy, problem)
        report(
            f"bq_nco {name}",
            lambda data, search=search: decode(search, problem, data, args.device),  # type: ignore[misc]
        )


if __name__ == "__main__":
    main()
