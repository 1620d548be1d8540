"""Decisions per second of the torch form: ``python -m benchmarks.torch_throughput --device cuda``.

Random legal actions, drawn on the device; the mask is computed at every step, observations if asked
for. All episodes of a batch are played to their end, without gradients.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

import or_envs
from benchmarks.cli import key_value
from benchmarks.problems import build_problem
from or_envs.core.problem import AnyProblem


@torch.no_grad()
def decisions_per_second(problem: AnyProblem, num: int, device: str, observed: bool) -> float:
    """Play ``num`` episodes side by side; the problem must have discrete, masked actions."""
    instance, exogenous = or_envs.sample(problem, 0, num)
    instance = instance.to_torch(device, torch.float32)
    if exogenous is not None:
        exogenous = exogenous.to_torch(device, torch.float32)

    def rule(now: Any, state: Any) -> torch.Tensor:
        if observed:
            problem.observation(now, state)
        mask = problem.action_mask(now, state)
        assert mask is not None
        luck = torch.rand(mask.shape, device=mask.device)
        return torch.where(mask, luck, -1.0).argmax(dim=1)

    start = time.perf_counter()
    played = or_envs.simulate(problem, rule, instance, exogenous)
    # Waits for the device.
    decisions = int(played.num_steps.sum())
    return decisions / (time.perf_counter() - start)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a CSV line per batch size, with and without observations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="or_envs/UAMFleet-v0", metavar="ID")
    parser.add_argument("--env-kwargs", nargs="*", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--num", nargs="+", type=int, default=[4096, 32768], help="episodes")
    parser.add_argument("--device", default="cpu", help="of torch")
    args = parser.parse_args(arguments)
    problem = build_problem(args.env, dict(args.env_kwargs))
    name = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    writer = csv.writer(sys.stdout)
    writer.writerow(("env", "device", "episodes", "observations", "decisions_per_second"))
    decisions_per_second(problem, 2, args.device, True)  # warms up
    for num in args.num:
        for observed in (False, True):
            rate = decisions_per_second(problem, num, args.device, observed)
            writer.writerow((args.env, name, num, "yes" if observed else "no", f"{rate:.0f}"))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
