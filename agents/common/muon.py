"""Muon, an optimiser for the matrices of a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

#: Matrices with fewer rows or columns, such as those that embed a handful of features, are Adam's.
_SMALLEST = 16
_MOMENTUM = 0.95
#: Coefficients and number of the iterations of Newton and Schulz.
_QUINTIC, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5


class Muon(torch.optim.Adam):
    """Steps along orthogonalised momentum for matrices, Adam for all other parameters.

    The step of a matrix is its momentum with all singular values brought near 1
    (https://kellerjordan.github.io/posts/muon), times ``0.2 sqrt(max(rows, columns))``, so that
    its entries are about as large as those of Adam's steps and the same learning rate serves both
    (arXiv 2502.16982). Steps are those of ``torch.optim.Muon``, which takes one matrix at a time;
    here all of a shape go together, as on a GPU a small network has many small matrices.

    Parameters
    ----------
    params, lr, **adam
        As for ``torch.optim.Adam``.
    decay
        Each step shortens matrices by ``lr * decay``. Steps are of one length whatever the gradient
        is, so that in long trainings weights grow until these networks lose what they learned; 0.1
        is usual.
    """

    def __init__(self, params: Any, lr: float = 1e-3, decay: float = 0.0, **adam: Any) -> None:
        super().__init__(params, lr=lr, **adam)
        for group in self.param_groups:
            group["decay"] = decay

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Descend; gradients of matrices are used up."""
        assert closure is None
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.Tensor]] = {}
            for parameter in group["params"]:
                matrix = parameter.ndim == 2 and min(parameter.shape) >= _SMALLEST
                if matrix and parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for some in shapes.values():
                self._step_together(some, group["lr"], group["decay"])
                for parameter in some:
                    # Adam leaves parameters without a gradient alone.
                    parameter.grad = None
        return super().step()

    def _step_together(self, matrices: list[torch.Tensor], rate: float, decay: float) -> None:
        for matrix in matrices:
            if not self.state[matrix]:
                # Adam asks for a step when its state is loaded.
                self.state[matrix]["step"] = torch.zeros(())
                self.state[matrix]["momentum"] = torch.zeros_like(matrix)
        gradients: list[Any] = [matrix.grad for matrix in matrices]
        momentum = [self.state[matrix]["momentum"] for matrix in matrices]
        torch._foreach_lerp_(momentum, gradients, 1 - _MOMENTUM)
        # Nesterov's: one more step of the average.
        ahead = torch.stack(gradients).lerp(torch.stack(momentum), _MOMENTUM)
        length = rate * 0.2 * math.sqrt(max(matrices[0].shape))
        steps = orthogonalized(ahead).to(matrices[0].dtype)
        if decay:
            torch._foreach_mul_(matrices, 1 - rate * decay)
        torch._foreach_add_(matrices, list(steps.unbind()), alpha=-length)


def orthogonalized(matrices: torch.Tensor) -> torch.Tensor:
    """Bring singular values near 1: (B, m, n), any scale, to bfloat16.

    Iterations of a polynomial that is steep at 0 leave them between about 0.7 and 1.2.
    """
    x = matrices.bfloat16()
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
