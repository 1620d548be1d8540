"""How far two action distributions are apart, and how far data are from their policy."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import Distribution

from agents.common.masked_ppo import MaskedActorCriticPolicy, Masks


def exact_kl(p: Distribution, q: Distribution) -> torch.Tensor:
    """KL(p || q) in N states, summed over the entries of an action, (N,).

    Parameters
    ----------
    p, q
        Over Box, Discrete, MultiDiscrete or MultiBinary actions, both masked alike or not at all;
        a masked action has the probability 0 in both and adds nothing.
    """
    total: Any = 0.0
    for ours, theirs in zip(_parts(p), _parts(q), strict=True):
        divergence = torch.distributions.kl_divergence(ours, theirs)
        total = total + (divergence.sum(dim=1) if divergence.ndim > 1 else divergence)
    assert isinstance(total, torch.Tensor)
    return total


def _parts(distribution: Distribution) -> list[torch.distributions.Distribution]:
    """Distributions of torch behind one of SB3's or of sb3-contrib's."""
    several: Any = getattr(distribution, "distributions", None) or distribution.distribution
    return several if isinstance(several, list) else [several]


def sampling_error(
    policy: MaskedActorCriticPolicy,
    observations: Any,
    actions: torch.Tensor,
    action_masks: Masks = None,
    iterations: int = 100,
) -> float:
    """Mean of log pi_MLE(a|s) - log pi(a|s) over N pairs, where pi_MLE fits them best.

    The fit starts from the policy and leaves the weights of its hidden layers as they are; free are
    their biases, the output layer and the deviations [arXiv 2311.08290 and its code]. Even data of
    the policy itself have an error, of about p / 2N with p free parameters.

    Parameters
    ----------
    policy
        pi.
    observations, actions, action_masks
        The pairs (s, a), (N, ...), as the policy takes them.
    iterations
        Of L-BFGS.
    """
    with torch.random.fork_rng(devices=[]):  # building draws weights, which are replaced
        fitted = type(policy)(**policy._get_constructor_parameters()).to(policy.device)
    fitted.load_state_dict(policy.state_dict())
    fitted.set_training_mode(False)
    free = [
        *(p for n, p in fitted.mlp_extractor.policy_net.named_parameters() if n.endswith("bias")),
        *fitted.action_net.parameters(),
        *([fitted.log_std] if hasattr(fitted, "log_std") else []),
    ]
    fitted.requires_grad_(False)
    for parameter in free:
        parameter.requires_grad_(True)
    optimizer = torch.optim.LBFGS(free, max_iter=iterations, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        likelihood = fitted.get_distribution(observations, action_masks).log_prob(actions).mean()
        (-likelihood).backward()  # type: ignore[no-untyped-call]
        return -likelihood

    start = loss().item()
    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        best = fitted.get_distribution(observations, action_masks).log_prob(actions).mean()
    return start + best.item()


class SamplingErrorLogger(BaseCallback):
    """Log the sampling error of the data that PROPS learns from as ``props/sampling_error``.

    Parameters
    ----------
    every
        Roll-outs from one measurement to the next, >= 1; each costs a fit.

    Raises
    ------
    ValueError
        If ``every`` is less than 1.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every: expected an integer >= 1, got {every}")
        self.every = every
        #: Environment steps and sampling error of every measurement.
        self.found: list[tuple[int, float]] = []
        self._rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._rollouts += 1
        if self._rollouts % self.every == 0:
            error = self.model.sampling_error()  # type: ignore[attr-defined]
            self.found.append((self.num_timesteps, error))
            self.logger.record("props/sampling_error", error)
