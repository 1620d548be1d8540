"""Frozen dataclasses of arrays: the instances, states and traces of every problem."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

#: An array of numpy, torch or any other library with the Python array API.
Array = Any

A = TypeVar("A", bound="Arrays")


class Arrays:
    """Base of the frozen dataclasses whose fields are all arrays with a leading batch axis.

    The leading axis of a field is the batch size B, or 1 where the whole batch shares the data (a
    published instance played in 1,024 copies is stored once); numpy's broadcasting rules do the
    rest. At least one field of an instance has B rows. Fields of states and traces always have.
    """

    @classmethod
    @functools.cache
    def names(cls) -> tuple[str, ...]:
        """Field names, in order of definition."""
        return tuple(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]

    def leaves(self) -> list[Array]:
        """Field values, in order of definition."""
        return [getattr(self, name) for name in self.names()]

    @property
    def num(self) -> int:
        """Batch size B."""
        return max(int(leaf.shape[0]) for leaf in self.leaves())

    def map(self, function: Callable[..., Array], *others: Self) -> Self:
        """Apply ``function`` field by field to this and to other objects of the same class."""
        return type(self)(
            **{
                name: function(getattr(self, name), *(getattr(other, name) for other in others))
                for name in self.names()
            }
        )

    def rows(self, index: Array) -> Self:
        """Pick batch rows by an integer or boolean array; shared fields stay shared."""
        shared = self.num > 1
        return self.map(lambda x: x if shared and x.shape[0] == 1 else x[index])

    def replace_rows(self, index: Array, new: Self) -> Self:
        """Return a copy with the numpy rows ``index`` taken from ``new`` (one row each)."""
        num = self.num

        def merge(old: np.ndarray, fresh: np.ndarray) -> np.ndarray:
            if num > 1 and old.shape[0] == 1:
                if np.array_equal(old, fresh):
                    return old
                old = np.broadcast_to(old, (num, *old.shape[1:]))
            merged = np.array(old)
            merged[index] = fresh
            return merged

        return self.map(merge, new)

    def repeat(self, times: int) -> Self:
        """Repeat every batch row ``times`` times in a row (numpy); shared fields stay shared."""
        shared = self.num > 1
        return self.map(lambda x: x if shared and x.shape[0] == 1 else np.repeat(x, times, axis=0))

    def to_torch(
        self, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> Self:
        """Copy to torch tensors; floating fields get ``dtype`` (default: torch's default)."""
        import torch

        floating = dtype or torch.get_default_dtype()

        def convert(x: Array) -> torch.Tensor:
            tensor = torch.tensor(np.asarray(x))
            return tensor.to(device, floating if tensor.is_floating_point() else tensor.dtype)

        return self.map(convert)


def concatenate(parts: Sequence[A]) -> A:
    """Stack numpy batches along the batch axis; fields shared by all stay shared.

    Raises
    ------
    ValueError
        If ``parts`` is empty.
    """
    if not parts:
        raise ValueError("parts: expected at least one batch, got none")
    total = sum(part.num for part in parts)

    def join(*leaves: np.ndarray) -> np.ndarray:
        first = leaves[0]
        shared = all(x.shape[0] == 1 for x in leaves) and all(
            np.array_equal(x, first) for x in leaves
        )
        if shared and total > 1:
            return first
        return np.concatenate(
            [
                np.broadcast_to(x, (part.num, *x.shape[1:]))
                for x, part in zip(leaves, parts, strict=True)
            ]
        )

    joined = parts[0].map(join, *parts[1:])
    if joined.num < total:  # identical rows everywhere: keep the batch size visible
        joined = joined.map(lambda x: np.broadcast_to(x, (total, *x.shape[1:])).copy())
    return joined


def gather(xp: Any, x: Array, index: Array) -> Array:
    """``x[b, index[b]]`` for every batch row b, by ``take`` on the flattened array.

    Parameters
    ----------
    x
        Array of shape (B, K, ...) or, shared, (1, K, ...).
    index
        Integer array of shape (B,) or (B, J), values in 0..K-1.

    Returns
    -------
    Array of shape ``index.shape + x.shape[2:]``.
    """
    length = x.shape[1]
    flat = xp.reshape(x, (x.shape[0] * length, *x.shape[2:]))
    if x.shape[0] > 1:
        offset = xp.arange(x.shape[0], dtype=index.dtype, device=index.device) * length
        index = index + xp.reshape(offset, (-1,) + (1,) * (index.ndim - 1))
    taken = xp.take(flat, xp.reshape(index, (-1,)), axis=0)
    return xp.reshape(taken, (*index.shape, *x.shape[2:]))
