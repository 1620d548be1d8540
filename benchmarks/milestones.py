"""What an agent costs on the way: evaluations at equal fractions of its training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.files import write_atomically


class Milestones(BaseCallback):
    """Evaluates the agent before the first roll-out past k/``num`` of its training, 0 < k < num.

    The random numbers of the training stay what they are without it.

    Parameters
    ----------
    path
        JSON file of the milestones that are behind; a training that is continued tells of them
        again and does not repeat them.
    num
        Parts of the training.
    total
        Steps of the training.
    cost
        Mean cost of the agent as it is.
    tell
        Called with k and the cost.
    """

    def __init__(
        self,
        path: Path,
        num: int,
        total: int,
        cost: Callable[[Any], float],
        tell: Callable[[int, float], None],
    ) -> None:
        super().__init__()
        self._path, self._num, self._total = path, num, total
        self._cost, self._tell = cost, tell
        self._known: dict[str, float] = {}
        if path.is_file():
            self._known = json.loads(path.read_text(encoding="utf-8"))
        for k, value in self._known.items():
            tell(int(k), value)

    def _on_rollout_start(self) -> None:
        k = self.num_timesteps * self._num // self._total
        if not 0 < k < self._num or str(k) in self._known:
            return
        with torch.random.fork_rng():
            self._known[str(k)] = self._cost(self.model)
        write_atomically(self._path, json.dumps(self._known))
        self._tell(k, self._known[str(k)])

    def _on_step(self) -> bool:
        return True
