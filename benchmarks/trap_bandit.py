"""Does a mixture leave a local optimum? ``python -m benchmarks.trap_bandit``.

One state, one action in [-1, 1], and a reward with a wide hill of height 0.8 around -0.5 and a
narrow one of height 1 around 0.7:

    r(a) = 0.8 exp(-(a + 0.5)^2 / (2 0.25^2)) + exp(-(a - 0.7)^2 / (2 0.08^2)) + N(0, 0.05^2)

All components start near -0.3, on the slope of the wide hill, moved apart by normal offsets of the
given deviation before tanh. ``--plain``: means, deviations and weights are parameters, not outputs
of a network. Decided beforehand: an arm leaves the trap in a run if
the reward of its deterministic action ends above 0.95; that is claimed for an arm if the 95 %
interval (Wilson) of the share of such runs lies above that of SAC with the same offsets.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import math
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from rich.progress import track

from benchmarks.files import write_atomically

#: Components, primitive_update, deviation of the offsets of the components.
ARMS = (
    (1, "best", 0.1),
    (4, "best", 0.1),
    (4, "all", 0.1),
    (1, "best", 1.0),
    (4, "best", 1.0),
    (4, "all", 1.0),
)
START = -0.3
NOISE = 0.05
ESCAPED = 0.95


def reward(action: np.ndarray) -> np.ndarray:
    """Expected reward of actions (N,), (N,)."""
    wide = 0.8 * np.exp(-((action + 0.5) ** 2) / (2 * 0.25**2))
    found: np.ndarray = wide + np.exp(-((action - 0.7) ** 2) / (2 * 0.08**2))
    return found


class TrapBandit(gym.Env[np.ndarray, np.ndarray]):
    """One decision per episode."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the only state."""
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pay the reward and end the episode."""
        paid = float(reward(action)[0]) + NOISE * self.np_random.standard_normal()
        return np.zeros(1, np.float32), paid, True, False, {}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training.

    Attributes
    ----------
    deterministic, stochastic
        Expected reward of the deterministic action, and of sampled ones.
    largest_weight
        Of the components.
    milliseconds
        Training time per step.
    """

    deterministic: float
    stochastic: float
    largest_weight: float
    milliseconds: float


def run(
    num: int,
    primitive_update: str,
    spread: float,
    seed: int,
    steps: int,
    plain: bool = False,
    batch_size: int = 256,
) -> Run:
    """Train without random steps before learning, which would show the narrow hill."""
    import torch

    from agents.pmoe.mixture import spread as move_apart
    from agents.pmoe.pmoe_sac import PMOESAC

    class Agent(PMOESAC):
        def _update_learning_rate(self, optimizers: Any) -> None:
            """The actor and the temperature learn faster than the critics."""
            super()._update_learning_rate(optimizers)
            for group in self.critic.optimizer.param_groups:
                group["lr"] = 1e-3

    torch.set_num_threads(1)  # there is a process for every core
    model = Agent(
        "MlpPolicy",
        TrapBandit(),
        learning_rate=3e-3,
        learning_starts=0,
        batch_size=batch_size,
        buffer_size=steps,
        target_entropy=-1.0,
        primitive_update=primitive_update,  # type: ignore[arg-type]
        policy_kwargs={
            "net_arch": {"pi": [] if plain else [64, 64], "qf": [64, 64]},
            "n_components": num,
            "component_init_std": spread,
        },
        seed=seed,
        device="cpu",
    )
    actor = model.actor
    with torch.no_grad():
        if plain:
            # The only observation is 0, so that biases are all there is. torch draws them wide.
            for layer in (actor.mu, actor.log_std, *actor.router.modules()):  # type: ignore[operator]
                if isinstance(layer, torch.nn.Linear):
                    layer.bias.zero_()
            move_apart(actor.mu, spread)  # type: ignore[arg-type]
        actor.mu.weight.zero_()  # type: ignore[operator]
        actor.mu.bias.add_(math.atanh(START))  # type: ignore[operator]
    start = time.process_time()
    model.learn(steps)
    seconds = time.process_time() - start
    here = np.zeros((2000, 1), np.float32)
    best, _ = model.predict(here[:1], deterministic=True)
    drawn, _ = model.predict(here)
    with torch.no_grad():
        _, _, extra = actor.get_action_dist_params(torch.zeros(1, 1))
    return Run(
        float(reward(best[:, 0])[0]),
        float(reward(drawn[:, 0]).mean()),
        float(extra["log_weights"].exp().max()),
        1000 * seconds / steps,
    )


def wilson(successes: int, num: int) -> tuple[float, float]:
    """95 % interval of a share."""
    z, share = 1.96, successes / num
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2)) / (1 + z**2 / num)
    return middle - half, middle + half


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per arm and write all runs as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="per arm")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--plain", action="store_true", help="parameters instead of a network")
    parser.add_argument("--batch-size", type=int, default=256, help="of an update")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--output", type=Path, default=Path("results/trap-bandit.csv"))
    options = parser.parse_args(arguments)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in dataclasses.fields(Run)]
    writer.writerow(["components", "primitive_update", "spread", "seed", *names])
    processes = ProcessPoolExecutor(
        options.workers, mp_context=multiprocessing.get_context("spawn")
    )
    with processes as pool:
        waiting = {
            arm: [
                pool.submit(run, *arm, seed, options.steps, options.plain, options.batch_size)
                for seed in range(options.seeds)
            ]
            for arm in ARMS
        }
        for (num, primitive_update, spread), futures in waiting.items():
            runs = [future.result() for future in track(futures, "training", transient=True)]
            for seed, one in enumerate(runs):
                row = [num, primitive_update, spread, seed, *dataclasses.astuple(one)]
                writer.writerow(row)
            table = np.array([dataclasses.astuple(one) for one in runs])
            escaped = int((table[:, 0] > ESCAPED).sum())
            low, high = wilson(escaped, len(runs))
            mean = table.mean(axis=0)
            print(
                f"K={num} {primitive_update}, spread {spread}: escaped {escaped}/{len(runs)}"
                f" [{low:.2f}, {high:.2f}], reward {mean[0]:.3f}, of sampled actions {mean[1]:.3f},"
                f" largest weight {mean[2]:.2f}, {mean[3]:.1f} ms of CPU per step",
                flush=True,
            )
            write_atomically(options.output, text.getvalue())


if __name__ == "__main__":
    main()
