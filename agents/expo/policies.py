"""EXPO's policy: actions of a base that imitates and their edits, chosen from by critics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, Actor

from agents.expo.bases import Base, BaseName, Noise, make_base
from agents.rlpd.critics import EnsemblePolicy, join

EditMode = Literal["learned", "uniform", "none"]

#: ``(observations, candidates) -> allowed``: which of the actions (B, C, *shape), in the
#: environment's units, may be played, bool (B, C). Observations are as the policy sees them.
CandidateFilter = Callable[[PyTorchObs, torch.Tensor], torch.Tensor]


class EditActor(Actor):
    """tanh-Gaussian u ~ pi_edit(. | s, a), with a state-dependent deviation (paper, eq. 1).

    Parameters
    ----------
    action_space, features_dim
        Of the policy.
    **kwargs
        As in Stable-Baselines3's actor of SAC.
    """

    action_dist: SquashedDiagGaussianDistribution  # type: ignore[assignment]

    def __init__(self, *, action_space: spaces.Box, features_dim: int, **kwargs: Any) -> None:
        inputs = features_dim + get_action_dim(action_space)
        super().__init__(action_space=action_space, features_dim=inputs, **kwargs)

    def get_action_dist_params(  # type: ignore[override]
        self, obs: PyTorchObs, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-deviation before tanh, of the same shape as ``actions``, (B, ..., d)."""
        features = self.extract_features(obs, self.features_extractor)
        latent = self.latent_pi(join(features, actions))
        log_std = self.log_std(latent)  # type: ignore[operator]
        return self.mu(latent), log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def forward(  # type: ignore[override]
        self, obs: PyTorchObs, actions: torch.Tensor, deterministic: bool = False
    ) -> torch.Tensor:
        """Edits u in [-1, 1] of ``actions``."""
        mean, log_std = self.get_action_dist_params(obs, actions)
        return self.action_dist.actions_from_params(mean, log_std, deterministic)

    def action_log_prob(  # type: ignore[override]
        self, obs: PyTorchObs, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Edits u of actions (B, d), and log p(u), (B,)."""
        mean, log_std = self.get_action_dist_params(obs, actions)
        return self.action_dist.log_prob_from_params(mean, log_std)


class EXPOPolicy(EnsemblePolicy):
    """Takes the best of N actions of the base and their edits, by the critics' word.

    Parameters
    ----------
    observation_space, action_space, lr_schedule, **kwargs
        As in :class:`agents.rlpd.critics.EnsemblePolicy`; ``net_arch`` is that of the editing actor
        and of the critics.
    base, base_kwargs
        See :func:`agents.expo.bases.make_base`.
    n_candidates, n_edited
        Actions N of the base, and how many of them are edited as well.
    edit_scale
        beta: an edit changes a component by at most this, actions being in [-1, 1].
    edit_mode
        "learned"; "uniform": noise in the same box; "none".
    n_min_critics
        Random members whose minimum scores a candidate.
    """

    actor: EditActor

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        base: BaseName = "ddpm",
        base_kwargs: dict[str, Any] | None = None,
        n_candidates: int = 8,
        n_edited: int = 8,
        edit_scale: float = 0.1,
        edit_mode: EditMode = "learned",
        n_min_critics: int = 2,
        **kwargs: Any,
    ) -> None:
        if n_candidates < 1:
            raise ValueError(f"n_candidates: expected an integer >= 1, got {n_candidates}")
        if not 0 <= n_edited <= n_candidates:
            raise ValueError(
                f"n_edited: expected an integer in 0..{n_candidates} (n_candidates), got {n_edited}"
            )
        if edit_mode not in get_args(EditMode):
            allowed = ", ".join(get_args(EditMode))
            raise ValueError(f"edit_mode: expected one of {allowed}, got {edit_mode!r}")
        self.base_name = base
        self.base_kwargs = base_kwargs or {}
        self.n_candidates = n_candidates
        self.n_edited = n_edited
        self.edit_scale = edit_scale
        self.edit_mode = edit_mode
        self.n_min_critics = n_min_critics
        self.candidate_filter: CandidateFilter | None = None
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.base, self.base_target = self._make_base(), self._make_base()
        self.base_target.load_state_dict(self.base.state_dict())
        self.base_target.set_training_mode(False)
        # Weight decay as in the published code.
        self.base.optimizer = torch.optim.AdamW(
            self.base.parameters(), lr=lr_schedule(1), weight_decay=1e-4
        )

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> EditActor:
        """Build what edits; SAC's policy asks for it."""
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return EditActor(**kwargs).to(self.device)

    def _make_base(self) -> Base:
        names = ("observation_space", "action_space", "normalize_images")
        kwargs = self._update_features_extractor({name: self.net_args[name] for name in names})
        return make_base(self.base_name, self.base_kwargs, **kwargs).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **super()._get_constructor_parameters(),
            "base": self.base_name,
            "base_kwargs": self.base_kwargs,
            "n_candidates": self.n_candidates,
            "n_edited": self.n_edited,
            "edit_scale": self.edit_scale,
            "edit_mode": self.edit_mode,
            "n_min_critics": self.n_min_critics,
        }

    def set_training_mode(self, mode: bool) -> None:
        """Put the parts that learn in training or in evaluation mode."""
        super().set_training_mode(mode)
        self.base.set_training_mode(mode)

    # ---- deciding ---------------------------------------------------------------------------

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        """Act by the averaged base.

        Deterministic decisions are a function of the observation: its noise is, edits are the
        actor's mode, and all members are asked for their mean.
        """
        candidates = self.candidates(observation, self.base_target, deterministic)
        values = self.score(observation, candidates, deterministic)
        return pick(candidates, values.argmax(dim=1))

    def candidates(
        self, observation: PyTorchObs, base: Base, deterministic: bool = False
    ) -> torch.Tensor:
        """N actions of the base and their edits, (B, N + n_edited, d), clipped to [-1, 1]."""
        noise = Noise(observation, fixed=deterministic)
        drawn = base.sample(observation, self.n_candidates, noise)
        if self.edit_mode == "none" or not self.n_edited:
            return drawn
        edited = drawn[:, : self.n_edited]
        if self.edit_mode == "learned":
            edit = self.actor(observation, edited, deterministic)
        else:
            edit = 2 * noise.uniform(self.n_edited, edited.shape[2]) - 1
        return torch.cat([drawn, self.edited(edited, edit)], dim=1)

    def edited(self, actions: torch.Tensor, edit: torch.Tensor) -> torch.Tensor:
        """Return a + beta u, clipped: critics and environment never see another action."""
        return (actions + self.edit_scale * edit).clamp(-1, 1)

    def score(
        self, observation: PyTorchObs, candidates: torch.Tensor, deterministic: bool = False
    ) -> torch.Tensor:
        """Target critics' values (B, C): the minimum of random members, or the mean of all.

        What the filter forbids is worth -inf; where it forbids all, the first candidate is allowed.
        """
        if deterministic:
            values = self.critic_target(observation, candidates).mean(dim=0)
        else:
            members = self.critic_target.draw(self.n_min_critics)
            values = self.critic_target(observation, candidates, members).amin(dim=0)
        if self.candidate_filter is None:
            return values
        allowed = self.candidate_filter(observation, self._unscaled(candidates)).clone()
        allowed[:, 0] |= ~allowed.any(dim=1)
        return values.masked_fill(~allowed, -torch.inf)

    def _unscaled(self, actions: torch.Tensor) -> torch.Tensor:
        """Actions (B, C, d) in [-1, 1] in the environment's units, (B, C, *shape)."""
        space = self.action_space
        shaped = actions.reshape(*actions.shape[:2], *space.shape)
        low, high = (
            torch.as_tensor(bound, dtype=actions.dtype, device=actions.device)
            for bound in (space.low, space.high)
        )
        return low + (shaped + 1) * (high - low) / 2


def pick(candidates: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """One of the candidates (B, C, d) for every row, (B, d), by its number, (B,)."""
    return candidates[torch.arange(len(candidates), device=index.device), index]


class EXPOMultiInputPolicy(EXPOPolicy):
    """The same for Dict observations."""

    def __init__(
        self,
        *args: Any,
        features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)
