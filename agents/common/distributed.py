"""Training on several devices by torch.distributed: every process descends the whole gradient.

torchrun starts the processes, :func:`process_group` joins them; without it there is a single
process. All processes draw the same batch, take their share of its rows, and add up gradients, so
that the result is that of one process, and ranks need nothing else from each other. The leader,
rank 0, writes files for all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist


def own_device(device: str) -> str:
    """Of the GPUs of this machine the one for this process, where torchrun has started several."""
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return device


@contextlib.contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that torchrun has started, if it has.

    Parameters
    ----------
    device
        Of this process, see :func:`own_device`; processes talk by NCCL on GPUs, else by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("nccl")
    else:
        dist.init_process_group("gloo")
    yield
    # Not after an error: the others wait for this process, and it would wait for them. It ends,
    # and torchrun ends the others.
    dist.destroy_process_group()


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_leader() -> bool:
    """Whether this process is the one that writes files and prints."""
    return processes() == 1 or dist.get_rank() == 0


def from_leader(text: str) -> str:
    """What the leader passes, in all processes."""
    if processes() == 1:
        return text
    texts = [text]
    dist.broadcast_object_list(texts)
    return texts[0]


def meet() -> None:
    """Wait until all processes are here."""
    if processes() > 1:
        dist.barrier()


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
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    # All at once: what a message costs is the waiting, a millisecond on CPUs.
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    start = 0
    for gradient in gradients:
        end = start + gradient.numel()
        gradient.copy_(flat[start:end].view_as(gradient))
        start = end


def total(value: float, device: torch.device | str) -> float:
    """Sum of a number over all processes."""
    if processes() == 1:
        return value
    everywhere = torch.tensor(value, dtype=torch.float64, device=device)
    dist.all_reduce(everywhere)
    return float(everywhere)
