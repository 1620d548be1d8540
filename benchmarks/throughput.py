"""Environment steps per second, one process: ``python -m benchmarks.throughput``.

Every figure is the median of five repeats of at least half a second, after a warm-up that compiles.
"step" repeats steps with valid random actions drawn before; "draw + step" also counts drawing them.
Wall and processor time are both taken: where they differ, something else used the machine.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from rich.console import Console
from rich.table import Table

import or_envs
from benchmarks.files import write_atomically
from benchmarks.provenance import hardware, versions
from or_envs.core.actions import ActionChecker

REPEATS = 5
SECONDS = 0.5
#: Wall above processor time by more than this share: the machine was busy.
BUSY = 0.05
OUTPUT = Path("results/throughput.json")

#: Runs for a while; returns the environment steps it made.
Work = Callable[[], int]

_LOT_SIZING: tuple[str, dict[str, Any]] = ("or_envs/LotSizing-v0", {"instance": "15x5"})
_TSP: tuple[str, dict[str, Any]] = ("or_envs/TSP-v0", {"num_cities": 50})
_CVRP: tuple[str, dict[str, Any]] = ("or_envs/CVRP-v0", {"num_customers": 100})
_KNAPSACK: tuple[str, dict[str, Any]] = ("or_envs/Knapsack-v0", {"num_items": 50})
_LA01: dict[str, Any] = {"instance": "LA01", "blocking": "swap"}
_LOST_SALES: tuple[str, dict[str, Any]] = (
    "or_envs/SingleStoreLostSales-v0",
    {"instance": "poisson-L4-p9"},
)
_FLEET: tuple[str, dict[str, Any]] = ("or_envs/UAMFleet-v0", {"preset": "default"})
_ONE_WAREHOUSE: tuple[str, dict[str, Any]] = ("or_envs/OneWarehouse-v0", {"instance": "n10"})


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Steps per second of wall and of processor time."""

    name: str
    what: str
    steps_per_second: float
    steps_per_cpu_second: float

    @property
    def busy(self) -> bool:
        """Whether the machine had other work."""
        return self.steps_per_cpu_second > (1 + BUSY) * self.steps_per_second


def measure(name: str, what: str, work: Work, seconds: float = SECONDS) -> Measurement:
    """Median of :data:`REPEATS` repeats after one warm-up."""
    work()
    wall, cpu = [], []
    for _ in range(REPEATS):
        steps = 0
        start, start_cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - start < seconds:
            steps += work()
        wall.append(steps / (time.perf_counter() - start))
        cpu.append(steps / (time.process_time() - start_cpu))
    return Measurement(name, what, statistics.median(wall), statistics.median(cpu))


def single(env_id: str, env_kwargs: dict[str, Any], draw: bool) -> Work:
    """Whole episodes of one environment from ``gym.make``; a step includes its share of reset."""
    env = gym.make(env_id, **env_kwargs)
    plain: Any = env.unwrapped
    checker = ActionChecker(plain.problem)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    # Valid in later episodes too: what these problems allow depends on the actions alone.
    recorded = _actions(env_id, env_kwargs, 1, plain.problem.max_steps)

    def drawn() -> int:
        env.reset()
        steps, over = 0, False
        while not over:
            action = checker.sample(plain.action_masks()[None], 1, rng)[0]
            _, _, terminated, truncated, _ = env.step(action)
            steps += 1
            over = terminated or truncated
        return steps

    def given() -> int:
        env.reset()
        for actions in recorded:
            env.step(actions[0])
        return len(recorded)

    return drawn if draw else given


def vector(env_id: str, env_kwargs: dict[str, Any], num: int, draw: bool) -> Work:
    """Whole episodes of the native vector environment; the last step starts the next ones."""
    env: Any = gym.make_vec(
        env_id, num, vectorization_mode="vector_entry_point", **env_kwargs
    ).unwrapped
    checker = ActionChecker(env.problem)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    # Valid in later episodes too: what these problems allow depends on the actions alone.
    recorded = _actions(env_id, env_kwargs, num, env.problem.max_steps)

    def drawn() -> int:
        for _ in recorded:
            env.step(checker.sample(env.batch.mask(), num, rng))
        return num * len(recorded)

    def given() -> int:
        for actions in recorded:
            env.step(actions)
        return num * len(recorded)

    return drawn if draw else given


def replayed(env_id: str, env_kwargs: dict[str, Any], num: int, steps: int) -> Work:
    """Steps of the native vector environment from a reset on, with the actions of an earlier run.

    It serves where episodes end at different steps; the reset is one for all ``steps``.
    """
    env: Any = gym.make_vec(
        env_id, num, vectorization_mode="vector_entry_point", **env_kwargs
    ).unwrapped
    checker = ActionChecker(env.problem)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    recorded = []
    for _ in range(steps):
        recorded.append(checker.sample(env.batch.mask(), num, rng))
        env.step(recorded[-1])

    def run() -> int:
        env.reset(seed=0)
        for actions in recorded:
            env.step(actions)
        return num * steps

    return run


def dispatched(env_kwargs: dict[str, Any], num: int) -> Work:
    """Loads of whole job-shop episodes by random dispatching, in compiled code."""
    from or_envs.job_shop.dispatching import Dispatching, play

    problem: Any = or_envs.make_problem("or_envs/JobShop-v0", **env_kwargs)
    instance, exogenous = or_envs.sample(problem, 0, num)
    loads = int(instance.num_operations.sum())

    def run() -> int:
        play(problem, instance, exogenous, Dispatching("RANDOM"), seeds=np.arange(num))
        return loads

    return run


def _actions(env_id: str, env_kwargs: dict[str, Any], num: int, steps: int) -> list[np.ndarray]:
    """Valid random actions of the episodes with seeds 0, 1, ..., one array per step."""
    problem = or_envs.make_problem(env_id, **env_kwargs)
    checker = ActionChecker(problem)
    rng = np.random.default_rng(0)
    actions = []

    def rule(instance: Any, state: Any) -> np.ndarray:
        actions.append(checker.sample(problem.action_mask(instance, state), num, rng))
        return actions[-1]

    or_envs.simulate(problem, rule, *or_envs.sample(problem, 0, num))
    return actions[:steps]


def simulated(env_id: str, env_kwargs: dict[str, Any], num: int, on_torch: bool) -> Work:
    """Roll-outs of given actions by ``simulate``."""
    problem = or_envs.make_problem(env_id, **env_kwargs)
    instance, exogenous = or_envs.sample(problem, 0, num)
    actions: Any = np.stack(_actions(env_id, env_kwargs, num, problem.max_steps), axis=1)
    if on_torch:
        import torch

        torch.set_num_threads(1)
        instance = instance.to_torch()
        exogenous = None if exogenous is None else exogenous.to_torch()
        actions = torch.from_numpy(actions)

    def run() -> int:
        return int(or_envs.simulate(problem, actions, instance, exogenous).num_steps.sum())

    return run


def bare(env_id: str, env_kwargs: dict[str, Any], num: int, compiled: bool) -> Work:
    """The dynamics alone, by kernels or numpy: given actions, and the mask of every step."""
    problem = or_envs.make_problem(env_id, **env_kwargs)
    actions = _actions(env_id, env_kwargs, num, problem.max_steps)
    instance, _ = or_envs.sample(problem, 0, num)
    if compiled:
        problem = problem.compiled()

    def run() -> int:
        state = problem.initial(instance)
        for action in actions:
            problem.action_mask(instance, state)
            state, _ = problem.post_decision(instance, state, action)
            state, _, _ = problem.transition(instance, state, None)
        return num * len(actions)

    return run


def differentiated(env_id: str, env_kwargs: dict[str, Any], policy: str, num: int) -> Work:
    """Updates of HDPO: steps forward through policy and simulator, and backward."""
    import torch

    from agents.hdpo.hdpo import HDPO
    from agents.hdpo.scenarios import Scenarios
    from or_envs.core.sb3 import make_sb3_vec_env

    torch.set_num_threads(1)
    env = make_sb3_vec_env(env_id, 1, 0, **env_kwargs)
    model = HDPO(policy, env, num_scenarios=num, batch_size=num, seed=0, device="cpu")
    problem: Any = or_envs.make_problem(env_id, **env_kwargs)
    scenarios = Scenarios(problem.with_horizon(model.n_periods), 0, num, model.device)

    def run() -> int:
        model.update(scenarios)
        return num * model.n_periods

    return run


def cases() -> Iterator[tuple[str, str, Work]]:
    """Name, what is counted, and the work of every figure."""
    both = (("step", False), ("draw + step", True))
    # What the later episodes of these allow depends on their data: actions cannot be drawn before.
    drawn = both[1:]
    for title, (env_id, env_kwargs), sizes, modes in (
        ("LotSizing 15x5", _LOT_SIZING, (1, 64, 1024, 4096), both),
        ("TSP 50", _TSP, (1, 64, 1024), both),
        ("CVRP 100", _CVRP, (1024,), drawn),
        ("Knapsack 50", _KNAPSACK, (1024,), drawn),
        ("SingleStoreLostSales", _LOST_SALES, (1, 64, 1024), both),
        ("OneWarehouse n10", _ONE_WAREHOUSE, (1, 64, 1024), both),
    ):
        for what, draw in modes:
            yield f"{title}, gym.make", what, single(env_id, env_kwargs, draw)
        for num in sizes:
            for what, draw in modes:
                name = f"{title}, VectorEnv {num:,}"
                yield name, what, vector(env_id, env_kwargs, num, draw)
        for library, on_torch in (("numpy", False), ("torch", True)):
            name = f"{title}, simulate 1,024 on {library}"
            yield name, "step", simulated(env_id, env_kwargs, 1024, on_torch)
    for title, (env_id, env_kwargs) in (
        ("TSP 50", _TSP),
        ("CVRP 100", _CVRP),
        ("Knapsack 50", _KNAPSACK),
    ):
        for what, compiled in (("kernels", True), ("numpy", False)):
            name = f"{title}, dynamics of 1,024 by {what}"
            yield name, "step + mask", bare(env_id, env_kwargs, 1024, compiled)
    for title, env_id, env_kwargs in (
        ("JobShop LA01 swap", "or_envs/JobShop-v0", _LA01),
        ("ISBJSSP LA01", "or_envs/ISBJSSP-v0", {"instance": "LA01"}),
    ):
        yield f"{title}, gym.make", "draw + step", single(env_id, env_kwargs, True)
        yield f"{title}, VectorEnv 256", "step", replayed(env_id, env_kwargs, 256, 200)
        yield f"{title}, VectorEnv 256", "draw + step", vector(env_id, env_kwargs, 256, True)
    yield "JobShop LA01 swap, 1,024 random episodes", "load", dispatched(_LA01, 1024)
    yield "UAMFleet, gym.make", "draw + step", single(*_FLEET, True)
    for num in (64, 256):
        yield f"UAMFleet, VectorEnv {num}", "step", replayed(*_FLEET, num, 800)
        yield f"UAMFleet, simulate {num} on numpy", "step", simulated(*_FLEET, num, False)
    for title, (env_id, env_kwargs), policy, num in (
        ("SingleStoreLostSales", _LOST_SALES, "MlpPolicy", 1024),
        ("OneWarehouse n10", _ONE_WAREHOUSE, "GNN", 128),
    ):
        name = f"{title}, HDPO {policy} {num:,}"
        yield name, "step forward + backward", differentiated(env_id, env_kwargs, policy, num)


def main() -> None:
    """Measure everything, print a table and write ``results/throughput.json``."""
    console = Console()
    measurements = []
    for name, what, work in cases():
        with console.status(f"{name}, {what}"):
            measurements.append(measure(name, what, work))
    table = Table(title="Environment steps per second, one process")
    for column in ("environment", "counted"):
        table.add_column(column)
    for column in ("per second", "per CPU second"):
        table.add_column(column, justify="right")
    for m in measurements:
        table.add_row(
            m.name, m.what, f"{m.steps_per_second:,.0f}", f"{m.steps_per_cpu_second:,.0f}"
        )
    console.print(table)
    busy = sum(m.busy for m in measurements)
    if busy:
        console.print(
            f"the machine was busy: wall and CPU time differ by more than {BUSY:.0%} in {busy} of"
            f" {len(measurements)} figures",
            style="yellow",
        )
    report = {
        "hardware": hardware(),
        "versions": versions(),
        "measurements": [{**dataclasses.asdict(m), "busy": m.busy} for m in measurements],
    }
    write_atomically(OUTPUT, json.dumps(report, indent=1) + "\n")
    console.print(f"written: {OUTPUT}", highlight=False)


if __name__ == "__main__":
    main()
