"""Torch's state dicts as arrays and JSON, so that files of them never execute code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def pack(state: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    """Describe a nested state by what JSON can hold; its tensors go to ``arrays``.

    Parameters
    ----------
    state
        Dicts, lists, tensors and plain values, such as the state dict of an optimiser.
    place
        Name of the state; a tensor's name is its path from here.
    arrays
        Filled with the tensors.
    """
    if isinstance(state, torch.Tensor):
        arrays[place] = state.detach().cpu().numpy()
        return {"tensor": place}
    if isinstance(state, Mapping):
        # Pairs, since keys of an optimiser are integers, which JSON would turn into text.
        return {
            "items": [[key, pack(value, f"{place}/{key}", arrays)] for key, value in state.items()]
        }
    if isinstance(state, list | tuple):
        parts = [pack(value, f"{place}/{index}", arrays) for index, value in enumerate(state)]
        return {"tuple": parts} if isinstance(state, tuple) else parts
    return state


def unpack(description: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Rebuild the state that :func:`pack` described."""
    if isinstance(description, list):
        return [unpack(value, arrays) for value in description]
    if not isinstance(description, dict):
        return description
    if "tuple" in description:
        return tuple(unpack(value, arrays) for value in description["tuple"])
    if "tensor" in description:
        return torch.tensor(arrays[description["tensor"]])
    return {key: unpack(value, arrays) for key, value in description["items"]}
