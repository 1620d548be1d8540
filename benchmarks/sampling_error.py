"""How far are the data from their policy? ``python -m benchmarks.sampling_error WHAT``.

"softmax" and "control": a target policy that never changes is played by itself ("on_policy") and by
PROPS, and the sampling error of all data so far is measured: KL(p_hat || pi) of a softmax over four
actions, or the likelihood that a fitted policy gains (agents.props.divergence.sampling_error).
Decided beforehand: PROPS lowers the error on an environment if the 95 % bootstrap interval over
seeds of the ratio of the mean errors lies below 0.8 at the end; published are ratios of 0.51 to
0.75 for trained policies on MuJoCo. The softmax is as expected where the mean errors are within
30 % of those in tests/benchmarks/test_claim_runs.py, which are of a PROPS that keeps Adam's moments
from one adaptation to the next, like the published code; ours forgets them, and comes closer.

"lot_sizing" trains the arms of the suite props-claim that have two batches, with its settings, and
measures the error of their data from time to time.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agents.props.divergence import SamplingErrorLogger
from agents.props.props import PROPS, BehaviorUpdate, Sampling
from benchmarks import hyperparameters
from benchmarks.files import write_atomically
from benchmarks.statistics import stratified_bootstrap
from or_envs.core.sb3 import make_sb3_vec_env

SAMPLINGS: tuple[Sampling, ...] = ("on_policy", "props")
#: Arms of the softmax: sampling, and whether adaptations begin without Adam's moments.
SOFTMAX: dict[str, tuple[Sampling, bool]] = {
    "on_policy": ("on_policy", True),
    "props": ("props", True),
    "props, moments kept": ("props", False),
}
POLICIES = {"uniform": (0.25, 0.25, 0.25, 0.25), "skewed": (0.9, 0.05, 0.04, 0.01)}
#: Numbers of pulls at which the softmax is measured.
PULLS = (64, 256, 1024)
#: Of a training.
MEASUREMENTS = 16


class FixedTarget(PROPS):
    """PROPS whose target policy does not learn, and whose minibatches grow with the data."""

    #: Parts that an epoch of an adaptation divides the ring into.
    minibatches: int

    def train(self) -> None:
        """Leave the target policy alone."""

    def _adapt(self, update: BehaviorUpdate, num_envs: int) -> None:
        size = max(1, len(self.ring) // self.minibatches)
        super()._adapt(dataclasses.replace(update, batch_size=size), num_envs)


class OneState(gym.Env[np.ndarray, np.int64]):
    """A bandit that pays nothing."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,))
    action_space = gym.spaces.Discrete(4)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the only state."""
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """End the episode."""
        return np.zeros(1, np.float32), 0.0, True, False, {}


class Measure(BaseCallback):
    """Note the error after given numbers of steps.

    Parameters
    ----------
    error
        Of the model's ring.
    at
        Numbers of steps; a roll-out ends at each.
    """

    def __init__(self, error: Callable[[FixedTarget], float], at: Sequence[int]) -> None:
        super().__init__()
        self.error, self.at = error, at
        self.found: dict[int, float] = {}

    def _on_rollout_end(self) -> None:
        if self.num_timesteps in self.at:
            self.found[self.num_timesteps] = self.error(self.model)  # type: ignore[arg-type]

    def _on_step(self) -> bool:
        return True


def softmax_errors(
    probabilities: Sequence[float], sampling: Sampling, seed: int, reset: bool = True
) -> dict[int, float]:
    """KL(p_hat || pi) after :data:`PULLS` pulls; ``reset`` is PROPS's reset_behavior_optimizer."""
    pi = np.array(probabilities)

    def error(model: FixedTarget) -> float:
        counted = np.bincount(model.ring.stacked().action.ravel(), minlength=len(pi))
        p = counted / counted.sum()
        return float(np.sum(p[p > 0] * np.log(p[p > 0] / pi[p > 0])))

    model = FixedTarget(
        "MlpPolicy",
        OneState(),
        n_steps=16,
        batch_size=16,
        sampling=sampling,
        buffer_batches=PULLS[-1] // 16,
        behavior_n_steps=16,
        behavior_learning_rate=1e-2,
        behavior_target_kl=0.03,
        kl_coef=0.0,
        reset_behavior_optimizer=reset,
        policy_kwargs={"net_arch": []},
        seed=seed,
        device="cpu",
    )
    with torch.no_grad():
        model.policy.action_net.weight.zero_()  # type: ignore[operator]
        model.policy.action_net.bias.copy_(torch.tensor(pi).log())  # type: ignore[operator]
    model.minibatches = 4
    measure = Measure(error, PULLS)
    model.learn(PULLS[-1], callback=measure)
    return measure.found


def control_errors(env_id: str, trained: int, seed: int, steps: int) -> dict[Sampling, float]:
    """Sampling errors after ``steps`` steps of a policy that was trained for ``trained`` before.

    The constants are the published ones: 1,024 steps between measurements, m = 256, all data kept,
    16 minibatches, lambda 0.1 on the mean over action entries of KL(phi || theta).
    """
    env = gym.make(env_id)
    shape = env.action_space.shape
    assert shape is not None
    target = PROPS(
        "MlpPolicy", env, sampling="on_policy", buffer_batches=1, seed=seed, device="cpu"
    )
    target.learn(trained)
    found: dict[Sampling, float] = {}
    for sampling in SAMPLINGS:
        model = FixedTarget(
            "MlpPolicy",
            env,
            n_steps=1024,
            batch_size=64,
            sampling=sampling,
            buffer_batches=max(1, steps // 1024),
            behavior_n_steps=256,
            kl_coef=0.1 / max(1, int(np.prod(shape))),
            kl_direction="behavior_target",
            seed=seed,
            device="cpu",
        )
        model.policy.load_state_dict(target.policy.state_dict())
        model.minibatches = 16
        measure = Measure(lambda model: model.sampling_error(), [steps])
        model.learn(steps, callback=measure)
        found[sampling] = measure.found[steps]
    return found


def ratio(errors: Mapping[str, np.ndarray], arm: str = "props") -> str:
    """Mean errors of an arm and of the policy itself, and their ratio with its interval."""
    found = stratified_bootstrap(
        lambda ours, theirs: ours[0].mean(axis=-1) / theirs[0].mean(axis=-1),
        [errors[arm]],
        [errors["on_policy"]],
    )
    interval = "" if found.low is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return (
        f"on-policy {errors['on_policy'].mean():.5f}, {arm} {errors[arm].mean():.5f},"
        f" ratio {found.value:.3f}{interval}"
    )


def _softmax(seeds: int, write: Callable[..., None]) -> None:
    for name, probabilities in POLICIES.items():
        errors = {
            arm: np.array(
                [
                    list(softmax_errors(probabilities, sampling, seed, reset).values())
                    for seed in range(seeds)
                ]
            )
            for arm, (sampling, reset) in SOFTMAX.items()
        }
        for place, pulls in enumerate(PULLS):
            at = {arm: found[:, place] for arm, found in errors.items()}
            for arm in list(SOFTMAX)[1:]:
                print(f"{name}, {pulls} pulls: {ratio(at, arm)}; 3 / 2n = {3 / (2 * pulls):.5f}")
            for arm, values in at.items():
                for seed, value in enumerate(values):
                    write(name, pulls, arm, seed, value)


def _control(env_id: str, seeds: int, steps: int, train: int, write: Callable[..., None]) -> None:
    try:
        gym.make(env_id).close()
    except gym.error.DependencyNotInstalled:
        raise SystemExit(f"{env_id} needs MuJoCo: pip install 'or-envs[mujoco]'") from None
    for trained in (0, train):
        start = time.process_time()
        runs = [control_errors(env_id, trained, seed, steps) for seed in range(seeds)]
        errors: dict[str, np.ndarray] = {
            sampling: np.array([run[sampling] for run in runs]) for sampling in SAMPLINGS
        }
        seconds = time.process_time() - start
        print(
            f"{env_id}, policy after {trained} steps, {steps} samples: {ratio(errors)}"
            f" ({seconds:.0f} s of CPU)",
            flush=True,
        )
        for sampling, values in errors.items():
            for seed, value in enumerate(values):
                write(f"{env_id}, {trained} steps", steps, sampling, seed, value)


def learning_error(instance: str, sampling: Sampling, seed: int, steps: int) -> float:
    """Mean sampling error over a training of the suite props-claim."""
    env_id = "or_envs/TabularLotSizing-v0"
    settings = hyperparameters.load("props", env_id, {"sampling": sampling})
    env = make_sb3_vec_env(
        env_id, settings.n_envs, 1000 * seed, settings.reward_scale, instance=instance
    )
    model = PROPS(settings.policy, env, seed=1000 * seed, device="cpu", **settings.arguments())
    rollouts = steps // (settings.n_envs * model.n_steps)
    logger = SamplingErrorLogger(every=max(1, rollouts // MEASUREMENTS))
    model.learn(steps, callback=logger)
    return float(np.mean([error for _, error in logger.found]))


def _lot_sizing(seeds: int, steps: int, write: Callable[..., None]) -> None:
    for instance in ("known", "poisson"):
        errors: dict[str, np.ndarray] = {
            sampling: np.array(
                [learning_error(instance, sampling, seed, steps) for seed in range(seeds)]
            )
            for sampling in SAMPLINGS
        }
        print(f"{instance}, mean over {steps} steps of training: {ratio(errors)}", flush=True)
        for sampling, values in errors.items():
            for seed, value in enumerate(values):
                write(instance, steps, sampling, seed, value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the errors and write them as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("softmax", "control", "lot_sizing"))
    parser.add_argument("--env", default="Hopper-v5", metavar="ID", help="of control")
    parser.add_argument("--seeds", type=int, help="default: 60 of softmax, else 5")
    parser.add_argument("--steps", type=int, help="default: 16384 of control, 40000 of lot_sizing")
    parser.add_argument("--train", type=int, default=100_000, help="steps of the trained policy")
    parser.add_argument("--output", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["policy", "samples", "sampling", "seed", "error"])

    def write(*row: Any) -> None:
        writer.writerow(row)

    if options.what == "softmax":
        _softmax(options.seeds or 60, write)
    elif options.what == "control":
        _control(options.env, options.seeds or 5, options.steps or 16384, options.train, write)
    else:
        _lot_sizing(options.seeds or 5, options.steps or 40000, write)
    output = options.output or Path(f"results/sampling-error-{options.what}.csv")
    write_atomically(output, text.getvalue())


if __name__ == "__main__":
    main()
