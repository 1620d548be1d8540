"""Mixtures of SB3's distributions, and what their router learns from.

Shapes: N states, K components, A entries of an action. Component k of state n is row n K + k of one
SB3 distribution, which therefore samples, evaluates and masks all components at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import create_mlp
from torch import nn
from torch.nn import functional as F


class MixtureDistribution(Distribution):
    """pi(a|s) = sum_k w_k(s) p_k(a|s)                                       [arXiv 2104.09122].

    Parameters
    ----------
    components
        Law of a component, such as ``DiagGaussianDistribution(3)``.
    num
        Number of components K.
    """

    def __init__(self, components: Distribution, num: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.components = components
        self.num = num
        #: log w, (N, K).
        self.log_weights: torch.Tensor

    def proba_distribution_net(
        self, latent_dim: int, hidden: Sequence[int], activation_fn: type[nn.Module]
    ) -> nn.Module:
        """Router: the network whose K outputs are the logits of the weights."""
        return nn.Sequential(*create_mlp(latent_dim, self.num, list(hidden), activation_fn))

    def proba_distribution(self, *parameters: torch.Tensor, log_weights: torch.Tensor) -> Self:
        """Set log w (N, K), and the parameters of the components, (N K, ...) each."""
        self.log_weights = log_weights
        self.components.proba_distribution(*parameters)
        return self

    def apply_masking(self, masks: Any) -> None:
        """Apply masks, bool (N, sum of action sizes), to every component alike."""
        assert isinstance(self.components, MaskableDistribution)
        rows = torch.as_tensor(masks).reshape(len(self.log_weights), -1)
        self.components.apply_masking(rows.repeat_interleave(self.num, dim=0))

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """Return log sum_k w_k p_k(a), (N,), of actions (N, A); finite where all p_k underflow."""
        rows = actions.repeat_interleave(self.num, dim=0)
        return torch.logsumexp(self.log_weights + self._split(self.components.log_prob(rows)), 1)

    def entropy(self) -> torch.Tensor | None:
        """sum_k w_k H(p_k), (N,): a lower bound, which leaves out what the choice of k adds.

        ``None`` where the components have no closed form. The weights are constants: the router
        must not learn to prefer wide components.
        """
        entropy = self.components.entropy()
        if entropy is None:
            return None
        return (self.log_weights.detach().exp() * self._split(entropy)).sum(dim=1)

    def sample(self) -> torch.Tensor:
        """Draw k by its weight, and an action (N, A) of component k."""
        return pick(self.sample_components(), choose(self.log_weights))

    def sample_components(self) -> torch.Tensor:
        """Draw an action of every component, (N, K, A); reparametrised if the components are."""
        return self._split(self.components.sample())

    def mode(self) -> torch.Tensor:
        """Mode (N, A) of the component with the largest weight."""
        return pick(self._split(self.components.mode()), self.log_weights.argmax(dim=1))

    def actions_from_params(
        self, *parameters: torch.Tensor, log_weights: torch.Tensor, deterministic: bool = False
    ) -> torch.Tensor:
        """Set the parameters, see :meth:`proba_distribution`, and return actions (N, A)."""
        return self.proba_distribution(*parameters, log_weights=log_weights).get_actions(
            deterministic=deterministic
        )

    def log_prob_from_params(
        self, *parameters: torch.Tensor, log_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Set the parameters, and return sampled actions (N, A) with log pi (N,)."""
        actions = self.actions_from_params(*parameters, log_weights=log_weights)
        return actions, self.log_prob(actions)

    def _split(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.view(-1, self.num, *rows.shape[1:])


def choose(log_weights: torch.Tensor) -> torch.Tensor:
    """Draw a component for every state by the weights (N, K), integers (N,)."""
    if log_weights.shape[1] == 1:  # nothing to draw: the random stream stays that of SAC or PPO
        return log_weights.new_zeros(len(log_weights), dtype=torch.long)
    return torch.distributions.Categorical(logits=log_weights).sample()  # type: ignore[no-untyped-call]


def pick(values: torch.Tensor, component: torch.Tensor) -> torch.Tensor:
    """Values (N, K, ...) of one component (N,) per state, (N, ...)."""
    return values[torch.arange(len(values), device=values.device), component]


def frequency_loss(log_weights: torch.Tensor, winner: torch.Tensor) -> torch.Tensor:
    """Mean over batch and components of (w_k - 1[k = k*])^2, which is least at w_k = P(k* = k).

    Parameters
    ----------
    log_weights
        log w, (N, K).
    winner
        Best component k* of every state, integers (N,); a constant.
    """
    winners = F.one_hot(winner, log_weights.shape[1]).to(log_weights.dtype)
    return F.mse_loss(log_weights.exp(), winners)


def widened(
    layer: nn.Linear, num: int, initialize: Callable[[nn.Module], None] = lambda layer: None
) -> nn.Linear:
    """A layer with ``num`` times the outputs: those of ``layer`` first, then others drawn like it.

    Parameters
    ----------
    layer
        Head of a single component.
    num
        Number of components K.
    initialize
        What was done to the head after torch had drawn it.
    """
    heads = [layer, *(nn.Linear(layer.in_features, layer.out_features) for _ in range(num - 1))]
    for head in heads[1:]:
        initialize(head)
    wide = nn.Linear(layer.in_features, num * layer.out_features)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([head.weight for head in heads]))
        wide.bias.copy_(torch.cat([head.bias for head in heads]))
    return wide


def spread(layer: nn.Linear, std: float) -> None:
    """Move the outputs apart by normal offsets of deviation ``std``."""
    with torch.no_grad():
        layer.bias.add_(std * torch.randn_like(layer.bias))


def check_mixture(n_components: int, component_init_std: float) -> None:
    """Refuse policy settings outside their range.

    Raises
    ------
    ValueError
        Naming the setting.
    """
    if n_components < 1:
        raise ValueError(f"n_components: expected an integer >= 1, got {n_components}")
    if not component_init_std >= 0:
        raise ValueError(f"component_init_std: expected a number >= 0, got {component_init_std}")


def record_usage(logger: Logger, weights: torch.Tensor, wins: torch.Tensor) -> None:
    """Log how much the components are used.

    Parameters
    ----------
    logger
        Gets ``usage/weight_k``, ``usage/wins_k`` and ``usage/entropy``, that of the mean weights:
        log K if all are used alike, 0 if one is.
    weights
        Mean weight of every component, (K,).
    wins
        Share of states where a component was the best, (K,).
    """
    for k, (weight, win) in enumerate(zip(weights.tolist(), wins.tolist(), strict=True)):
        logger.record(f"usage/weight_{k}", weight)
        logger.record(f"usage/wins_{k}", win)
    logger.record("usage/entropy", -torch.xlogy(weights, weights).sum().item())
