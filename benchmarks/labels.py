"""Solve random instances for an agent to imitate: ``python -m benchmarks.labels``.

Instance k is the one that the environment has with seed ``seed + k``. Work is done in blocks of 500
by processes of their own; blocks that are finished when a run is interrupted are not done again.
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
from agents.bq_nco.labels import Labels
from baselines.registration import make
from benchmarks.cli import key_value
from benchmarks.errors import UserError
from benchmarks.problems import build_problem
from or_envs.core import concatenate

BLOCK = 500


def solve_block(
    env_id: str,
    env_kwargs: dict[str, Any],
    solver: str,
    settings: dict[str, Any],
    time_limit: float | None,
    folder: Path,
    first: int,
    num: int,
) -> Path:
    """Solve the instances with seeds ``first``, ..., and leave them in a file of ``folder``."""
    path = folder / f"{first}-{num}.npz"
    if path.is_file():
        return path
    problem = build_problem(env_id, env_kwargs)
    contestant = make(solver, problem, first, **settings)
    instance, _ = or_envs.sample(problem, first, num)
    actions = np.full((num, problem.max_steps), -1)
    objectives = np.empty(num)
    for row in range(num):
        solution = contestant.solve(instance.rows(np.array([row])), time_limit=time_limit)
        actions[row, : len(solution.actions)] = solution.actions
        objectives[row] = solution.objective
    # After the end of an episode any action of the space will do.
    replayed = or_envs.simulate(problem, np.maximum(actions, 0), instance)
    np.testing.assert_allclose(objectives, -replayed.total_reward, rtol=1e-6, atol=1e-6)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    Labels(instance, actions).save(temporary)
    os.replace(temporary, path)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a file of labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", required=True, help="id of an environment")
    parser.add_argument("--env-kwargs", nargs="*", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--solver", required=True, help="name of a baseline that solves")
    parser.add_argument("--solver-kwargs", nargs="*", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--time-limit", type=float, help="seconds per instance")
    parser.add_argument("--num", type=int, required=True, help="number of instances")
    parser.add_argument("--seed", type=int, default=1_000_000_000, help="seed of the first one")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, required=True, help="npz file")
    args = parser.parse_args(arguments)
    if args.num < 1:
        parser.error(f"num: expected an integer >= 1, got {args.num}")
    start = time.perf_counter()
    folder = args.output.with_suffix(".parts")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        kwargs, settings = dict(args.env_kwargs), dict(args.solver_kwargs)
        build_problem(args.env, kwargs)
    except UserError as error:
        parser.error(str(error))
    blocks = range(0, args.num, BLOCK)
    work = functools.partial(
        solve_block, args.env, kwargs, args.solver, settings, args.time_limit, folder
    )
    firsts = [args.seed + block for block in blocks]
    sizes = [min(BLOCK, args.num - block) for block in blocks]
    with ProcessPoolExecutor(args.workers) as pool:
        paths = list(track(pool.map(work, firsts, sizes), "solving", total=len(firsts)))
    problem = build_problem(args.env, kwargs)
    parts = [Labels.load(path, problem) for path in paths]
    actions = np.concatenate([part.actions for part in parts])
    Labels(concatenate([part.instance for part in parts]), actions).save(args.output)
    for path in paths:
        path.unlink()
    folder.rmdir()
    seconds = time.perf_counter() - start
    Console().print(f"written: {args.output}, {args.num} instances, {seconds:.1f} s")


if __name__ == "__main__":
    main()
