"""Training on several devices by torch.distributed: every process descends the whole gradient.

Whoever starts the processes (torchrun) also starts the process group
(``torch.distributed.init_process_group``); without one there is a single process. All processes
draw the same batch, take their share of its rows, and add up gradients, so that the result is that
of one process, and ranks need nothing else from each other.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share(num: int, device: torch.device | str) -> torch.Tensor | None:
    """Rows 0..num - 1 that are this process's; ``None``: all of them.

    With more processes than rows, some would have none, which no batch norm or mean allows.

    Raises
    ------
    ValueError
        If there are fewer rows than processes.
    """
    count = processes()
    if count == 1:
        return None
    if num < count:
        raise ValueError(f"batch: expected at least {count} rows, one per process, got {num}")
    return torch.arange(dist.get_rank(), num, count, device=device)


def add_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace gradients by their sums over all processes."""
    if processes() == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)


def total(count: int, device: torch.device | str) -> int:
    """Sum of a number over all processes."""
    if processes() == 1:
        return count
    everywhere = torch.tensor(count, device=device)
    dist.all_reduce(everywhere)
    return int(everywhere)
