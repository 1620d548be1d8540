"""What agents share that never play their environment: only its problem is used."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback


class Unplayed(BaseAlgorithm):
    """Mixin, named before the SB3 algorithm, that leaves the environment alone."""

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the weights; whatever else is drawn follows the same seed."""
        if seed is not None:
            torch.manual_seed(seed)

    def _setup_learn(self, *arguments: Any, **options: Any) -> tuple[int, BaseCallback]:
        # SB3 resets the environment here, to have a first observation; nobody plays it.
        total, callback = super()._setup_learn(*arguments, **options)
        self._last_obs = None
        return total, callback
