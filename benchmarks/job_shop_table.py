"""Makespans of a job-shop agent, rules and the pilot: ``python -m benchmarks.job_shop_table RUN``.

Every schedule is played through the environment; with shutdowns all contestants meet the same luck.
The best rule of a line is the one with the smallest mean there, chosen after the fact among all of
:data:`RULES` with their BLK and CAP variants, which favours the rules. Differences are paired, with
Student's 95 % intervals over instances (and draws of the luck). Times are wall-clock seconds per
instance on this machine.
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import or_envs
from agents.gnn_ppo.gnn_ppo import GNNPPO
from agents.gnn_ppo.search import decoder
from baselines.registration import make
from benchmarks.statistics import estimate
from benchmarks.training import MODEL
from or_envs.core import concatenate
from or_envs.core.problem import AnyProblem
from or_envs.job_shop.dispatching import RULES, Dispatching, play
from or_envs.job_shop.instances import load

ENV = "or_envs/ISBJSSP-v0"
COLUMNS = (
    *("shops", "p_down", "contestant", "episodes", "makespan"),
    *("less_than_best_rule", "low", "high", "seconds_each"),
)
#: Instances of the published groups, and seeds of the luck of each where there are shutdowns.
GROUPS = {
    "LA01-05": range(1, 6),
    "LA06-10": range(6, 11),
    "LA11-15": range(11, 16),
    "LA16-20": range(16, 21),
}
LUCK = 100
#: Of the bolder draws: the best of 1, 2, 3, 4 and 6 for 128 random shops of 10 jobs and 5 machines.
TEMPERATURE = 3
P_DOWN = (0.0, 0.05, 0.1, 0.2)
#: Caps on the share of occupied machines.
CAPS = (None, 0.55, 0.7, 0.8)


def best_rule(problem: Any, instance: Any, exogenous: Any) -> tuple[str, np.ndarray]:
    """Name and makespans (B,) of the rule with the smallest mean."""
    best: tuple[str, np.ndarray] | None = None
    for rule, blocked_first, cap in itertools.product(RULES, (False, True), CAPS):
        if rule in ("RANDOM", "GIVEN"):
            continue
        machines = None if cap is None else max(1, round(cap * problem.num_machines))
        dispatching = Dispatching(rule, blocked_first, machines)
        makespan = play(problem, instance, exogenous, dispatching).makespan.astype(float)
        if best is None or makespan.mean() < best[1].mean():
            prefix = ("" if cap is None else f"CAP({cap})+") + ("BLK+" if blocked_first else "")
            best = (f"{prefix}{rule}", makespan)
    assert best is not None
    return best


def scheduled(problem: AnyProblem, instance: Any, exogenous: Any, who: Any) -> np.ndarray:
    """Makespans (B,) of a rule, or of a solver on one instance after the other, replayed."""
    if not hasattr(who, "solve"):
        return np.asarray(-or_envs.simulate(problem, who, instance, exogenous).total_reward)
    costs = np.empty(instance.num)
    for row in range(instance.num):
        one = instance.rows(np.array([row]))
        plan = who.solve(one).actions
        costs[row] = -or_envs.simulate(problem, plan[None], one).total_reward[0]
    return costs


def decoded(problem: AnyProblem, instance: Any, model: GNNPPO, name: str) -> np.ndarray:
    """Makespans (B,) of a decoder of the agent, replayed."""
    actions = np.maximum(decoder(name, model.policy, problem)(instance).actions, 0)
    return np.asarray(-or_envs.simulate(problem, actions, instance).total_reward)


class Table:
    """Writes lines as they are computed."""

    def __init__(self) -> None:
        self._writer = csv.writer(sys.stdout)
        self._writer.writerow(COLUMNS)

    def run(
        self,
        shops: str,
        p_down: float,
        name: str,
        play: Callable[[], np.ndarray],
        reference: np.ndarray,
    ) -> None:
        """Run a contestant and write its line."""
        start = time.perf_counter()
        makespan = play()
        seconds = (time.perf_counter() - start) / len(makespan)
        less = estimate((reference - makespan)[None])
        ends = [f"{x:.4g}" if x is not None else "" for x in (less.value, less.low, less.high)]
        self.write(shops, p_down, name, makespan, [*ends, f"{seconds:.3g}"])

    def write(
        self, shops: str, p_down: float, name: str, makespan: np.ndarray, rest: Sequence[str] = ()
    ) -> None:
        """Write a line."""
        row = [shops, p_down, name, len(makespan), f"{makespan.mean():.6g}", *(rest or [""] * 4)]
        self._writer.writerow(row)
        sys.stdout.flush()


def best_and_greedy(
    table: Table, model: GNNPPO, shops: str, problem: Any, instance: Any, exogenous: Any
) -> np.ndarray:
    """Lines of the best rule and of the agent; returns the rule's makespans."""
    p_down = problem.p_down[0]
    name, best = best_rule(problem, instance, exogenous)
    table.write(shops, p_down, f"best rule: {name}", best)
    rule = or_envs.policy_rule(problem, model)
    play_greedily = functools.partial(scheduled, problem, instance, exogenous, rule)
    table.run(shops, p_down, "greedy", play_greedily, best)
    return best


def random_shops(table: Table, model: GNNPPO, num: int, first: int) -> None:
    """Random shops of 10 jobs and 5 machines, with and without shutdowns."""
    for p_down in P_DOWN:
        problem = or_envs.make_problem(ENV, num_jobs=10, num_machines=5, p_down=p_down)
        instance, exogenous = or_envs.sample(problem, first, num)
        best_and_greedy(table, model, "random 10x5", problem, instance, exogenous)


def published_shops(table: Table, model: GNNPPO, shops: str, completions: int) -> None:
    """One group of published instances, with shutdowns and without; there also searches."""
    names = [f"LA{number:02d}" for number in GROUPS[shops]]
    shop = concatenate([load(name) for name in names])
    for p_down in P_DOWN[1:]:
        problem = or_envs.make_problem(ENV, instance=names[0], p_down=p_down)
        instance = shop.repeat(LUCK)
        rngs = [np.random.default_rng((seed, 1)) for _ in names for seed in range(LUCK)]
        exogenous = problem.sample_exogenous(instance, rngs)
        best_and_greedy(table, model, shops, problem, instance, exogenous)
    problem = or_envs.make_problem(ENV, instance=names[0], p_down=0.0)
    best = best_and_greedy(table, model, shops, problem, shop, None)
    torch.manual_seed(0)
    for name in (
        f"samples:{completions}",
        f"samples:{completions}:{TEMPERATURE}",
        f"pilot:{completions}",
    ):
        table.run(shops, 0.0, name, functools.partial(decoded, problem, shop, model, name), best)
    pilot = make("job_shop/pilot_search", problem, 0, completions=completions)
    name = f"job_shop/pilot_search completions:{completions}"
    table.run(shops, 0.0, name, functools.partial(scheduled, problem, shop, None, pilot), best)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a trained agent")
    parser.add_argument("--num", type=int, default=512, help="random instances")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first of them")
    parser.add_argument("--completions", type=int, default=64, help="N of samples, R of pilots")
    parser.add_argument("--groups", nargs="*", default=["LA01-05", "LA16-20"], choices=list(GROUPS))
    args = parser.parse_args(arguments)
    for name, value in (("num", args.num), ("completions", args.completions)):
        if value < 1:
            parser.error(f"{name}: expected an integer >= 1, got {value}")
    torch.set_num_threads(1)
    model = GNNPPO.load(args.run / MODEL, device="cpu")
    table = Table()
    random_shops(table, model, args.num, args.seed)
    for shops in args.groups:
        published_shops(table, model, shops, args.completions)


if __name__ == "__main__":
    main()
