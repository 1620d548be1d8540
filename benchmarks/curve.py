"""The training curve: cost of the episodes of every roll-out, in a CSV file."""

from __future__ import annotations

import time
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.curve_file import Line, read_curve, write_curve


class TrainingCurve(BaseCallback):
    """Writes a line per roll-out in which an episode ended.

    The costs are those of the environment, whatever the agent's reward scale is.

    Parameters
    ----------
    path
        The CSV file; a training that is continued goes on with the lines up to its checkpoint.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._costs: list[float] = []
        self._lines: list[Line] = read_curve(path) if path.is_file() else []

    @property
    def points(self) -> list[tuple[int, float]]:
        """Steps and mean cost of every line."""
        return [(steps, cost) for steps, _, cost, _ in self._lines]

    @property
    def seconds(self) -> float:
        """Training time until the last line; time lost to a kill does not count."""
        return self._lines[-1][3] if self._lines else 0.0

    def _on_training_start(self) -> None:
        self._lines = [line for line in self._lines if line[0] <= self.num_timesteps]
        self._start = time.perf_counter() - self.seconds

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._costs.append(-info["episode"]["r"])
        return True

    def _on_rollout_end(self) -> None:
        if self._costs:
            mean = sum(self._costs) / len(self._costs)
            now = time.perf_counter() - self._start
            self._lines.append((self.num_timesteps, len(self._costs), mean, round(now, 3)))
            self._costs = []
            write_curve(self.path, self._lines)

    def _on_training_end(self) -> None:
        """The last update comes after the last roll-out; its time counts too."""
        if self._lines:
            now = time.perf_counter() - self._start
            self._lines[-1] = (*self._lines[-1][:3], round(now, 3))
            write_curve(self.path, self._lines)
