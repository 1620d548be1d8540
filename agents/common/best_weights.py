"""The weights that did best on development data."""

from __future__ import annotations

import numpy as np
import torch


class BestWeights:
    """Keeps the weights with the largest score; equal scores go to the later weights.

    Parameters
    ----------
    module
        Its weights are the first ones, with a score of minus infinity.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self.score = -float("inf")
        self._weights: dict[str, torch.Tensor] = {}
        self._take(module)

    def offer(self, module: torch.nn.Module, score: float) -> None:
        """Take the weights if they score at least as much as the best."""
        if score >= self.score:
            self.score = score
            self._take(module)

    def load_into(self, module: torch.nn.Module) -> None:
        """Give a module the best weights."""
        module.load_state_dict(self._weights)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps."""
        weights = {f"best.{name}": value.cpu().numpy() for name, value in self._weights.items()}
        return {**weights, "best_score": np.array(self.score)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from the arrays of a checkpoint."""
        self.score = float(arrays["best_score"])
        for name, value in self._weights.items():
            value.copy_(torch.from_numpy(arrays[f"best.{name}"]))

    def _take(self, module: torch.nn.Module) -> None:
        self._weights = {name: value.clone() for name, value in module.state_dict().items()}
