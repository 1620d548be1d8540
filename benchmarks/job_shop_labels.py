"""Schedules of random job shops for an agent to imitate: ``python -m benchmarks.job_shop_labels``.

Instance and luck k are those that the environment has with seed ``seed + k``. Without shutdowns a
solver plans; with shutdowns a rule decides, which sees no more than the agent will. Work is done in
blocks by processes of their own; blocks that are finished when a run is interrupted are not done
again.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import or_envs
from agents.gnn_ppo.demonstrations import Demonstrations
from baselines.registration import make
from benchmarks.cli import key_value
from benchmarks.demonstrations import make_demonstrations
from benchmarks.errors import UserError
from benchmarks.problems import build_problem
from or_envs.core import AnyProblem
from or_envs.job_shop.problem import JobShop

BLOCK = 100


@dataclasses.dataclass(frozen=True)
class Scheduler:
    """Schedules job shops for an agent to imitate.

    Attributes
    ----------
    env_id, env_kwargs
        The environment, a job shop.
    name, settings
        A baseline and its arguments.
    """

    env_id: str
    env_kwargs: Mapping[str, Any]
    name: str
    settings: Mapping[str, Any]

    def problem(self) -> AnyProblem:
        """Build the problem."""
        return build_problem(self.env_id, self.env_kwargs)

    def play(self, first: int, num: int) -> Demonstrations:
        """Schedule the instances with seeds ``first``, ..."""
        problem = self.problem()
        player = make(self.name, problem, first, **self.settings)
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
        return Demonstrations(instance, exogenous, actions)


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
    scheduler = Scheduler(args.env, kwargs, args.contestant, settings)
    make_demonstrations(scheduler, args.num, args.output, args.seed, args.workers, BLOCK)
    seconds = time.perf_counter() - start
    Console().print(f"written: {args.output}, {args.num} instances, {seconds:.1f} s")


if __name__ == "__main__":
    main()
