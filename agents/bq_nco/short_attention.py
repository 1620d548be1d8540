"""Attention of many short sequences, lowered by squared distances, in one kernel each way (Triton).

Fused attention is made for long sequences: it works in tiles of 128 tokens, and tails have about
50. Here the tile is the sequence. Scores never leave the chip, the penalty is computed from where
tokens are, and queries, keys and values are read from where one matrix product has put them.
"""

from typing import Any

import torch
import triton
import triton.language as tl

#: Tokens of the longest sequence.
LONGEST = 128
#: Threads grow with the tile.
_WARPS = {16: 1, 32: 1, 64: 4, 128: 8}


@triton.jit
def _load(start, row, n, token, there, column, heads: tl.constexpr, dim: tl.constexpr):
    """Queries, keys and values of one head of one sequence, and their addresses."""
    at = (row * n + token)[:, None] * (3 * heads * dim) + column[None, :]
    query = tl.load(start + at, there, 0.0)
    key = tl.load(start + at + heads * dim, there, 0.0)
    value = tl.load(start + at + 2 * heads * dim, there, 0.0)
    return query, key, value, at


@triton.jit
def _squared(places, row, n, token, inside):
    x = tl.load(places + (row * n + token) * 2, inside, 0.0)
    y = tl.load(places + (row * n + token) * 2 + 1, inside, 0.0)
    across, along = x[:, None] - x[None, :], y[:, None] - y[None, :]
    return across * across + along * along


@triton.jit(do_not_specialize=["n"])
def _forward(
    packed,
    places,
    weight,
    out,
    partition,
    n,
    scale,
    heads: tl.constexpr,
    dim: tl.constexpr,
    wide: tl.constexpr,
    tile: tl.constexpr,
):
    program = tl.program_id(0)
    row, head = (program // heads).to(tl.int64), program % heads
    token, channel = tl.arange(0, tile), tl.arange(0, wide)
    inside = token < n
    there = inside[:, None] & (channel < dim)[None, :]
    column = head * dim + channel
    query, key, value, _ = _load(packed, row, n, token, there, column, heads, dim)
    far = _squared(places, row, n, token, inside)
    scores = tl.dot(query, tl.trans(key)) * scale - tl.load(weight + head) * far
    scores = tl.where(inside[None, :], scores, float("-inf"))
    most = tl.max(scores, 1)
    shares = tl.exp(scores - most[:, None])
    total = tl.sum(shares, 1)
    mixed = tl.dot(shares.to(value.dtype), value) / total[:, None]
    to = (row * n + token)[:, None] * (heads * dim) + column[None, :]
    tl.store(out + to, mixed.to(value.dtype), there)
    tl.store(partition + program.to(tl.int64) * n + token, most + tl.log(total), inside)


@triton.jit(do_not_specialize=["n"])
def _backward(
    packed,
    places,
    weight,
    out,
    partition,
    d_out,
    d_packed,
    d_weight,
    n,
    scale,
    heads: tl.constexpr,
    dim: tl.constexpr,
    wide: tl.constexpr,
    tile: tl.constexpr,
):
    program = tl.program_id(0)
    row, head = (program // heads).to(tl.int64), program % heads
    token, channel = tl.arange(0, tile), tl.arange(0, wide)
    inside = token < n
    there = inside[:, None] & (channel < dim)[None, :]
    column = head * dim + channel
    query, key, value, at = _load(packed, row, n, token, there, column, heads, dim)
    to = (row * n + token)[:, None] * (heads * dim) + column[None, :]
    mixed = tl.load(out + to, there, 0.0).to(tl.float32)
    d_mixed = tl.load(d_out + to, there, 0.0)
    far = _squared(places, row, n, token, inside)
    log_total = tl.load(partition + program.to(tl.int64) * n + token, inside, 0.0)
    scores = tl.dot(query, tl.trans(key)) * scale - tl.load(weight + head) * far
    shares = tl.exp(scores - log_total[:, None])
    shares = tl.where(inside[:, None] & inside[None, :], shares, 0.0)
    d_value = tl.dot(tl.trans(shares.to(query.dtype)), d_mixed)
    tl.store(d_packed + at + 2 * heads * dim, d_value.to(query.dtype), there)
    mean = tl.sum(mixed * d_mixed.to(tl.float32), 1)
    d_scores = shares * (tl.dot(d_mixed, tl.trans(value)) - mean[:, None])
    tl.store(d_weight + program, -tl.sum(tl.sum(d_scores * far, 1), 0))
    d_products = (d_scores * scale).to(query.dtype)
    tl.store(d_packed + at, tl.dot(d_products, key).to(query.dtype), there)
    d_key = tl.dot(tl.trans(d_products), query)
    tl.store(d_packed + at + heads * dim, d_key.to(query.dtype), there)


def _shape(packed: torch.Tensor, heads: int) -> tuple[int, int, int, dict[str, int]]:
    """Sequences, tokens, channels, and the constants of the kernels."""
    num, tokens, channels = packed.shape
    channels //= 3
    dim, tile = channels // heads, max(16, 1 << (tokens - 1).bit_length())
    wide = max(16, 1 << (dim - 1).bit_length())
    constants = {"heads": heads, "dim": dim, "wide": wide, "tile": tile, "num_warps": _WARPS[tile]}
    return num, tokens, channels, constants


@torch.library.custom_op("or_envs::short_attention", mutates_args=())
def short_attention(
    packed: torch.Tensor, places: torch.Tensor, weight: torch.Tensor, heads: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention with scores ``scale q k - weight |places difference|^2``.

    Parameters
    ----------
    packed
        Queries, keys and values side by side, bfloat16 (B, n, 3 H d) on a GPU, n <= ``LONGEST``.
    places
        Where tokens are, float32 (B, n, 2).
    weight
        Of the squared distance, float32 (H,).
    heads, scale
        H, and the factor of products.

    Returns
    -------
    Mixed values (B, n, H d), and the logarithm of the sum of each token's exponentials (B, H, n).
    """
    num, tokens, channels, constants = _shape(packed, heads)
    out = packed.new_empty(num, tokens, channels)
    partition = weight.new_empty(num, heads, tokens)
    _forward[(num * heads,)](packed, places, weight, out, partition, tokens, scale, **constants)
    return out, partition


@torch.library.custom_op("or_envs::short_attention_backward", mutates_args=())
def _gradients(
    packed: torch.Tensor,
    places: torch.Tensor,
    weight: torch.Tensor,
    out: torch.Tensor,
    partition: torch.Tensor,
    d_out: torch.Tensor,
    heads: int,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    num, tokens, _, constants = _shape(packed, heads)
    d_packed = torch.empty_like(packed)
    d_weight = weight.new_empty(num, heads)
    _backward[(num * heads,)](
        *(packed, places, weight, out, partition, d_out, d_packed, d_weight, tokens, scale),
        **constants,
    )
    return d_packed, d_weight.sum(dim=0)


@short_attention.register_fake
def _(
    packed: torch.Tensor, places: torch.Tensor, weight: torch.Tensor, heads: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    num, tokens, channels = packed.shape
    return packed.new_empty(num, tokens, channels // 3), weight.new_empty(num, heads, tokens)


@_gradients.register_fake
def _(
    packed: torch.Tensor,
    places: torch.Tensor,
    weight: torch.Tensor,
    out: torch.Tensor,
    partition: torch.Tensor,
    d_out: torch.Tensor,
    heads: int,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(packed), torch.empty_like(weight)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    packed, places, weight, *ctx.settings = inputs
    ctx.save_for_backward(packed, places, weight, *output)


def _backpropagate(ctx: Any, d_out: torch.Tensor, _: torch.Tensor) -> tuple[Any, ...]:
    d_packed, d_weight = _gradients(*ctx.saved_tensors, d_out.contiguous(), *ctx.settings)
    return d_packed, None, d_weight, None, None


short_attention.register_autograd(_backpropagate, setup_context=_keep)
