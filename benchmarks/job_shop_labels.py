"""Schedules of random job shops for an agent to imitate: ``python -m benchmarks.job_shop_labels``.

Instance and luck k are those that the environment has with seed ``seed + k``. Without shutdowns a
solver plans; with shutdowns a rule decides, which sees no more than the agent will. Work is done in
blocks by processes of their own; blocks that are finished when a run is interrupted are not done
again.
"""

from __future__ import annotations

import argparse
import functools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

import or_envs
from agents.gnn_ppo.demonstrations import Demonstrations
from baselines.registration import make
from benchmarks.cli import key_value
from benchmarks.errors import UserError
from benchmarks.problems import build_problem
from or_envs.core import concatenate
from or_envs.job_shop.problem import JobShop

BLOCK = 100


def play_block(
    env_id: str,
    env_kwargs: dict[str, Any],
    contestant: str,
    settings: dict[str, Any],
    folder: Path,
    first: int,
    num: int,
) -> Path:
    """Schedule the instances with seeds ``first``, ..., and leave them in a file of ``folder``."""
    path = folder / f"{first}-{num}.npz"
    if path.is_file():
        return path
    problem = build_problem(env_id, env_kwargs)
    player = make(contestant, problem, first, **settings)
    instance, exogenous = or_envs.sample(problem, first, num)
    if hasattr(player, "solve"):
        plans = [player.solve(instance.rows(np.array([row]))).actions for row in range(num)]
        actions = np.full((num, max(len(plan) for plan in plans)), -1)
        for row, plan in enumerate(plans):
            actions[row, : len(plan)] = plan
    else:
        played = or_envs.simulate(problem, player, instance, exogenous)
        steps = np.arange(played.actions.shape[1])
        actions = np.where(steps < played.num_steps[:, None], played.actions, -1)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    Demonstrations(instance, exogenous, actions).save(temporary)
    os.replace(temporary, path)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a file of demonstrations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="or_envs/JobShop-v0", help="id of a job shop")
    parser.add_argument("--env-kwargs", nargs="*", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--contestant", default="job_shop/pilot_search", help="a baseline's name")
    parser.add_argument("--settings", nargs="*", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--num", type=int, required=True, help="number of instances")
    parser.add_argument("--seed", type=int, default=1_000_000_000, help="seed of the first one")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, required=True, help="npz file")
    args = parser.parse_args(arguments)
    if args.num < 1:
        parser.error(f"num: expected an integer >= 1, got {args.num}")
    kwargs, settings = dict(args.env_kwargs), dict(args.settings)
    try:
        problem = build_problem(args.env, kwargs)
        if not isinstance(problem, JobShop):
            parser.error(f"env: expected a job shop, got {args.env}")
        player = make(args.contestant, problem, 0, **settings)
    except (UserError, ValueError, TypeError) as error:
        parser.error(str(error))
    if problem.stochastic and hasattr(player, "solve"):
        parser.error(
            f"contestant: expected a rule where there are shutdowns, got {args.contestant},"
            " which plans whole episodes"
        )
    start = time.perf_counter()
    folder = args.output.with_suffix(".parts")
    folder.mkdir(parents=True, exist_ok=True)
    blocks = range(0, args.num, BLOCK)
    work = functools.partial(play_block, args.env, kwargs, args.contestant, settings, folder)
    firsts = [args.seed + block for block in blocks]
    sizes = [min(BLOCK, args.num - block) for block in blocks]
    with ProcessPoolExecutor(args.workers) as pool:
        paths = list(track(pool.map(work, firsts, sizes), "scheduling", total=len(firsts)))
    parts = [Demonstrations.load(path, problem) for path in paths]
    longest = max(part.actions.shape[1] for part in parts)
    actions = np.concatenate(
        [
            np.pad(p.actions, ((0, 0), (0, longest - p.actions.shape[1])), constant_values=-1)
            for p in parts
        ]
    )
    luck = [part.exogenous for part in parts if part.exogenous is not None]
    together = Demonstrations(
        concatenate([part.instance for part in parts]),
        concatenate(luck) if luck else None,
        actions,
    )
    together.save(args.output)
    for path in paths:
        path.unlink()
    folder.rmdir()
    seconds = time.perf_counter() - start
    Console().print(f"written: {args.output}, {args.num} instances, {seconds:.1f} s")


if __name__ == "__main__":
    main()
