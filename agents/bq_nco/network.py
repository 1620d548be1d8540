"""The transformer of BQ-NCO (arXiv 2301.03313), as published and in a modern form."""

from __future__ import annotations

import importlib.util

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from agents.bq_nco.relaxation import NUM_FEATURES
from agents.bq_nco.tails import Tail, TailView

if _TRITON := importlib.util.find_spec("triton") is not None:  # it comes with torch for GPUs
    from agents.bq_nco.short_attention import LONGEST, short_attention

#: By how much a distance of 1 lowers the scores of the most short-sighted head at first.
STEEPEST = 8.0
#: The same of a squared distance.
STEEPEST_SQUARED = 64.0
#: Links count as at least that likely.
_RARE = 0.01
#: Not that of cuDNN, which makes a plan for every new shape: batches of tails have many, and a step
#: of training took 126 instead of 45 ms (H100, torch 2.11).
_FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class Block(nn.Module):
    """Attention and feed-forward, each behind a residual connection.

    Parameters
    ----------
    dim, heads, feed_forward
        Widths.
    scaled
        Divide attention scores by the square root of a head's width.
    normalization
        "rezero": x + alpha f(x), with alpha 0 at first; "layer": x + f(norm(x)).
    edges
        Number of features of edges, which are added to the scores by a linear map per head; 0:
        none. At first heads look at smaller and smaller neighbourhoods by the first feature, a
        distance.
    mixes_edges
        Tokens also take in the features of the edges to what they attend to, which positions of
        tokens do not tell if distances have two directions.
    squared
        Lower scores by the squared distance between tokens instead, times a weight per head. It is
        a product of numbers of either token, so that it takes a few more columns of queries and
        keys, and no matrix of pairs.
    linked
        Tokens also take in what the tokens are that they have links to, by their links' strength.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        feed_forward: int,
        scaled: bool,
        normalization: str,
        edges: int,
        mixes_edges: bool,
        squared: bool,
        linked: bool,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5 if scaled else 1.0
        # Biases on keys and on the output only, as in the published model.
        self.query_value = nn.Linear(dim, 2 * dim, bias=False)
        self.key = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.widen = nn.Linear(dim, feed_forward)
        self.narrow = nn.Linear(feed_forward, dim)
        self.edge = nn.Linear(edges, heads, bias=False) if edges else None
        if self.edge is not None:
            nn.init.zeros_(self.edge.weight)
            with torch.no_grad():
                self.edge.weight[:, 0] = -torch.linspace(0.0, STEEPEST, heads)
        self.steepness = nn.Parameter(torch.linspace(0.0, 1.0, heads)) if squared else None
        self.take_in = nn.Linear(edges * heads, dim, bias=False) if mixes_edges else None
        self.hand_on = nn.Linear(dim, dim, bias=False) if linked else None
        self.rezero = normalization == "rezero"
        if self.rezero:
            self.alpha = nn.Parameter(torch.zeros(3 if linked else 2))
        else:
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.norm3 = nn.LayerNorm(dim) if linked else None

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        edges: torch.Tensor | None,
        places: torch.Tensor,
        links: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return (B, n, dim).

        Parameters
        ----------
        x, mask, edges, places, links
            (B, n, dim), (B, 1, 1, n), (B, n, n, E), (B, n, 2) and (B, n, n).
        """
        if self.rezero:
            x = x + self.alpha[0] * self._attend(x, mask, edges, places)
            if links is not None:
                x = x + self.alpha[2] * self._take_over(x, links)
            return x + self.alpha[1] * self.narrow(F.relu(self.widen(x)))
        x = x + self._attend(self.norm1(x), mask, edges, places)
        if links is not None:
            assert self.norm3 is not None
            x = x + self._take_over(self.norm3(x), links)
        return x + self.narrow(F.relu(self.widen(self.norm2(x))))

    def _take_over(self, x: torch.Tensor, links: torch.Tensor) -> torch.Tensor:
        assert self.hand_on is not None
        handed: torch.Tensor = self.hand_on(x)
        return F.relu(links.to(handed.dtype) @ handed)

    def _attend(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        edges: torch.Tensor | None,
        places: torch.Tensor,
    ) -> torch.Tensor:
        batch, tokens, dim = x.shape
        # One product for all three.
        weight = self.query_value.weight
        weight = torch.cat([weight[:dim], self.key.weight, weight[dim:]])
        packed = F.linear(x, weight, F.pad(self.key.bias, (dim, dim)))
        if self.steepness is not None and mask is None and _fits(packed):
            penalty = STEEPEST_SQUARED * self.steepness
            mixed, _ = short_attention(packed, places, penalty, self.heads, self.scale)
            return self.out(mixed)  # type: ignore[no-any-return]
        query, key, value = (
            part.reshape(batch, tokens, self.heads, dim // self.heads).transpose(1, 2)
            for part in packed.chunk(3, dim=2)
        )
        if self.steepness is not None:
            left, right = squared_penalty(
                places, STEEPEST_SQUARED / self.scale * self.steepness, query.dtype
            )
            query, key = torch.cat([query, left], dim=3), torch.cat([key, right], dim=3)
            # Fused attention asks for values of the same width.
            value = F.pad(value, (0, left.shape[3]))
        if edges is not None and self.edge is not None:
            # As a product from the left, so that rows of the bias are contiguous: fused attention
            # on GPUs asks for it.
            bias = self.edge.weight @ edges.flatten(1, 2).transpose(1, 2)
            bias = bias.reshape(batch, self.heads, tokens, tokens)
            mask = bias if mask is None else bias.masked_fill(~mask, -torch.inf)
        if edges is None or self.take_in is None:
            mixed = _attention(query, key, value, mask, self.scale)
            mixed = mixed[..., : dim // self.heads]
            return self.out(mixed.transpose(1, 2).reshape(batch, tokens, dim))  # type: ignore[no-any-return]
        scores = query @ key.transpose(2, 3) * self.scale
        weights = (scores if mask is None else scores + mask).softmax(dim=3)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, tokens, dim)
        met = weights.transpose(1, 2) @ edges
        return self.out(mixed) + self.take_in(met.flatten(2))  # type: ignore[no-any-return]


def _fits(packed: torch.Tensor) -> bool:
    """Whether the kernel for short sequences takes them."""
    half = packed.dtype == torch.bfloat16
    return _TRITON and packed.is_cuda and half and packed.shape[1] <= LONGEST


class Adjacency(nn.Module):
    """Scores of what comes before or after each token in the rest of the solution.

    Parameters
    ----------
    dim, width
        Of tokens, and of the queries and keys whose products are scores.
    linked
        Whether there are links, which raise scores.
    """

    def __init__(self, dim: int, width: int = 64, linked: bool = False) -> None:
        super().__init__()
        self.query = nn.Linear(dim, width)
        self.key = nn.Linear(dim, width, bias=False)
        self.steepness = nn.Parameter(torch.ones(1))
        self.trust = nn.Parameter(torch.ones(1)) if linked else None

    def forward(
        self, tokens: torch.Tensor, places: torch.Tensor, links: torch.Tensor | None
    ) -> torch.Tensor:
        """Scores (B, n, n) of tokens (B, n, dim) at (B, n, 2); -inf of a token and itself."""
        products = self.query(tokens) @ self.key(tokens).transpose(1, 2)
        far = (places[:, :, None] - places[:, None]).square().sum(dim=3)
        penalty = STEEPEST_SQUARED * self.steepness * far
        itself = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
        scores = products * self.query.out_features**-0.5 - penalty
        if links is not None and self.trust is not None:
            scores = scores + self.trust * (links + _RARE).log()
        return scores.masked_fill(itself, -torch.inf)


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    """Attention of torch, where its choice of a form is not a bad one."""
    # In half precision on CPUs, fused attention has a backward pass that takes several times as
    # long as all of plain attention (torch 2.13).
    plain = query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad
    with sdpa_kernel([SDPBackend.MATH] if plain else _FUSED):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def squared_penalty(
    places: torch.Tensor, weight: torch.Tensor, kind: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns of queries and keys, (B, H, n, C) each, whose products make near keys stand out.

    Of queries at q and keys at k it is w (2 q k - |k|^2), which is -w |q - k|^2 but for |q|^2, and
    that softmax does not see. In half precision every number is the sum of two, as q and k are much
    larger than their difference.
    """
    weight = weight[:, None, None]
    spot = places[:, None]
    left, right = 2 * weight * spot, spot.expand(-1, len(weight), -1, -1)
    size = -weight * spot.square().sum(dim=3, keepdim=True)
    one = torch.ones_like(size)
    if kind == torch.float32:
        return torch.cat([left, one], dim=3), torch.cat([right, size], dim=3)

    def halves(number: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        coarse = number.to(kind)
        return coarse, (number - coarse).to(kind)

    (left, left_rest), (right, right_rest), (size, size_rest) = map(halves, (left, right, size))
    one = one.to(kind)
    return (
        torch.cat([left, left_rest, left, one, one], dim=3),
        torch.cat([right, right, right_rest, size, size_rest], dim=3),
    )


class BQNetwork(nn.Module):
    """Scores of the outputs of every token; the whole network runs again at every step.

    Parameters
    ----------
    view
        Whose tails the network sees: it says how many features and outputs there are.
    dim, heads, layers, feed_forward
        Size; the published one is 192, 12, 9, 512.
    scaled, normalization
        See :class:`Block`; published is ``False`` and "rezero".
    penalty
        What lowers attention between tokens of canonical tails that are far from each other: their
        "distance", or its square ("squared", TSP and CVRP), which needs no matrix of pairs.
    adjacent
        Also tell which tokens are neighbours in the rest of the solution (TSP).
    linked
        Tails have links, and their features (:mod:`agents.bq_nco.relaxation`).
    """

    def __init__(
        self,
        view: TailView,
        dim: int = 128,
        heads: int = 8,
        layers: int = 3,
        feed_forward: int = 256,
        scaled: bool = True,
        normalization: str = "layer",
        penalty: str = "distance",
        adjacent: bool = False,
        linked: bool = False,
    ) -> None:
        super().__init__()
        if normalization not in ("rezero", "layer"):
            raise ValueError(f"normalization: expected 'rezero' or 'layer', got {normalization!r}")
        if dim < 1 or heads < 1 or dim % heads:
            raise ValueError(f"dim: expected a multiple of heads ({heads}), got {dim}")
        self.embed = nn.Linear(view.num_features + (NUM_FEATURES if linked else 0), dim)
        # What marks the first and the last token.
        self.ends = nn.Parameter(0.1 * torch.randn(2, dim)) if view.has_ends else None
        self.blocks = nn.ModuleList(
            Block(
                *(dim, heads, feed_forward, scaled, normalization),
                *(view.num_edges, view.mixes_edges, penalty == "squared", linked),
            )
            for _ in range(layers)
        )
        self.score = nn.Linear(dim, view.num_outputs)
        self.member = nn.Linear(dim, 1) if view.has_members else None
        self.adjacent = Adjacency(dim, linked=linked) if adjacent else None

    def forward(self, tail: Tail) -> torch.Tensor:
        """Scores (B, n K) of all outputs, -inf where not allowed."""
        return self.scores(self.encode(tail), tail)

    def scores(self, tokens: torch.Tensor, tail: Tail) -> torch.Tensor:
        """Return the scores of encoded tokens, see :meth:`forward`."""
        with torch.autocast(tokens.device.type, enabled=False):
            return self.score(tokens).masked_fill(~tail.allowed, -torch.inf).flatten(1)

    def membership(self, tokens: torch.Tensor) -> torch.Tensor:
        """Log-odds (B, n) that the rest of the solution visits the encoded tokens."""
        assert self.member is not None
        with torch.autocast(tokens.device.type, enabled=False):
            odds: torch.Tensor = self.member(tokens)[..., 0]
        return odds

    def adjacency(self, tokens: torch.Tensor, tail: Tail) -> torch.Tensor:
        """Scores (B, n, n) of the encoded tokens' neighbours in the rest of the solution."""
        assert self.adjacent is not None
        with torch.autocast(tokens.device.type, enabled=False):
            scores: torch.Tensor = self.adjacent(tokens, tail.features[..., :2], tail.links)
        return scores

    def encode(self, tail: Tail) -> torch.Tensor:
        """Tokens (B, n, dim) in single precision."""
        # Half precision, where it is on, is for what lies between: it would blur where nodes are,
        # and which of two close scores is the larger one.
        kind = tail.features.device.type
        with torch.autocast(kind, enabled=False):
            x = self.embed(tail.features)
        if self.ends is not None:
            middle = x.new_zeros(x.shape[1] - 2, x.shape[2])
            x = x + torch.cat([self.ends[:1], middle, self.ends[1:]])
        mask = None if tail.present is None else tail.present[:, None, None, :]
        places = tail.features[..., :2].contiguous()
        for block in self.blocks:
            x = block(x, mask, tail.edges, places, tail.links)
        return x.float()
