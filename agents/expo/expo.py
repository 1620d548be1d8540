"""Expressive policy optimisation (EXPO, arXiv 2507.07986)."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, PyTorchObs, ReplayBufferSamples, Schedule
from stable_baselines3.common.utils import polyak_update

from agents.expo.bases import BaseName, Noise
from agents.expo.policies import (
    CandidateFilter,
    EditMode,
    EXPOMultiInputPolicy,
    EXPOPolicy,
    pick,
)
from agents.rlpd.rlpd import RLPD

Backup = Literal["otf", "sarsa"]


class EXPO(RLPD):
    """An expressive base policy that only imitates, edited and chosen from by critics.

    The *base* (diffusion, flow or a mixture of Gaussians) learns by imitation of data set and
    replay buffer. A small Gaussian actor learns to *edit* its actions as SAC's actor learns to act.
    The *on-the-fly* policy takes the best of N actions of the base and their edits by the critics;
    it acts, and it is what targets suppose. No gradient of a critic passes through the base.

    Everything else is :class:`agents.rlpd.rlpd.RLPD`: the ensemble, symmetric sampling, many critic
    updates a step; base, edit and temperature are updated once, on the last minibatch.

    Parameters
    ----------
    policy
        "MlpPolicy", or "MultiInputPolicy" for Dict observations.
    env, learning_rate, buffer_size, learning_starts, batch_size, tau, gamma, train_freq, \
gradient_steps, ent_coef, n_min_critics, offline_dataset, offline_ratio, stats_window_size, \
tensorboard_log, policy_kwargs, verbose, seed, device
        As in :class:`agents.rlpd.rlpd.RLPD`; ``policy_kwargs`` also takes ``base_kwargs``, see
        :func:`agents.expo.bases.make_base`.
    target_entropy
        Of the edit beta u; "auto" is d (ln beta - 1/2), that of the published code moved to the
        edit's scale. Unmoved, -d / 2, it cannot be reached for beta < 0.303: no density on the
        box has more entropy than d ln(2 beta), and the temperature would grow for ever.
    base
        "ddpm", "flow", "gmm" or "gaussian".
    n_candidates, n_edited
        Actions N of the base, and how many of them are edited as well.
    edit_scale
        beta in (0, 1]: how far an edit moves a component of an action, which is in [-1, 1].
    edit_mode
        "learned"; "uniform": noise in the same box; "none".
    backup
        "otf": targets suppose the on-the-fly policy. "sarsa": an action of the base.
    entropy_backup
        For small data sets: targets draw the candidate with probability softmax(Q /
        ``backup_temperature``) and count alpha times the entropy of that choice.
    backup_temperature
        Units of Q, > 0; for ``entropy_backup`` only.
    bc_pretrain_steps
        Updates of the base on the data set before the first step; they are no time steps.
    ema_tau
        Weight of the newest base in the average that acts, in (0, 1].
    candidate_filter
        See :data:`agents.expo.policies.CandidateFilter`; files do not hold it, set
        ``model.policy.candidate_filter`` after loading.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the data set does not fit the environment.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": EXPOPolicy,
        "MultiInputPolicy": EXPOMultiInputPolicy,
    }
    session_arguments: ClassVar[frozenset[str]] = RLPD.session_arguments | {"candidate_filter"}
    policy: EXPOPolicy

    def __init__(
        self,
        policy: str | type[EXPOPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 5000,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 20,
        ent_coef: str | float = "auto",
        target_entropy: str | float = "auto",
        n_min_critics: int = 2,
        base: BaseName = "ddpm",
        n_candidates: int = 8,
        n_edited: int = 8,
        edit_scale: float = 0.1,
        edit_mode: EditMode = "learned",
        backup: Backup = "otf",
        entropy_backup: bool = False,
        backup_temperature: float = 1.0,
        bc_pretrain_steps: int = 0,
        ema_tau: float = 0.001,
        offline_dataset: Any = None,
        offline_ratio: float = 0.5,
        candidate_filter: CandidateFilter | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if not 0 < edit_scale <= 1:
            raise ValueError(f"edit_scale: expected a number in (0, 1], got {edit_scale}")
        if backup not in get_args(Backup):
            raise ValueError(f"backup: expected 'otf' or 'sarsa', got {backup!r}")
        if not backup_temperature > 0:
            raise ValueError(f"backup_temperature: expected a number > 0, got {backup_temperature}")
        if bc_pretrain_steps < 0:
            raise ValueError(
                f"bc_pretrain_steps: expected an integer >= 0, got {bc_pretrain_steps}"
            )
        if not 0 < ema_tau <= 1:
            raise ValueError(f"ema_tau: expected a number in (0, 1], got {ema_tau}")
        self.base = base
        self.n_candidates = n_candidates
        self.n_edited = n_edited
        self.edit_scale = edit_scale
        self.edit_mode = edit_mode
        self.backup = backup
        self.backup_temperature = backup_temperature
        self.bc_pretrain_steps = bc_pretrain_steps
        self.ema_tau = ema_tau
        chosen = {
            "base": base,
            "n_candidates": n_candidates,
            "n_edited": n_edited,
            "edit_scale": edit_scale,
            "edit_mode": edit_mode,
            "n_min_critics": n_min_critics,
        }
        super().__init__(
            policy,
            env,
            learning_rate,
            buffer_size,
            learning_starts,
            batch_size,
            tau,
            gamma,
            train_freq,
            gradient_steps,
            ent_coef,
            target_entropy,
            n_min_critics,
            entropy_backup,
            offline_dataset,
            offline_ratio,
            stats_window_size,
            tensorboard_log,
            {**(policy_kwargs or {}), **chosen},
            verbose,
            seed,
            device,
            _init_setup_model,
        )
        if _init_setup_model:
            self.policy.candidate_filter = candidate_filter

    def _setup_model(self) -> None:
        super()._setup_model()
        assert isinstance(self.target_entropy, float)
        bound = entropy_bound(self.policy.base.action_dim, self.edit_scale)
        if self.edit_mode == "learned" and self.target_entropy > bound:
            warnings.warn(
                f"target_entropy: {self.target_entropy:.4g} cannot be reached, for edits of at most"
                f" {self.edit_scale} have an entropy of {bound:.4g} or less; the temperature will"
                " grow for ever",
                stacklevel=2,
            )

    def _default_target_entropy(self, num_components: int) -> float:
        return adjusted_target_entropy(num_components, self.edit_scale)

    # ---- imitating --------------------------------------------------------------------------

    def _setup_learn(self, *arguments: Any, **options: Any) -> tuple[int, BaseCallback]:
        found = super()._setup_learn(*arguments, **options)
        if self.bc_pretrain_steps and not self.num_timesteps:
            self.pretrain(self.bc_pretrain_steps)
        return found

    def pretrain(self, steps: int) -> None:
        """Update the base, and nothing else, on the data set; it acts from then on.

        Raises
        ------
        ValueError
            If there is no data set.
        """
        if self.offline_buffer is None:
            raise ValueError("bc_pretrain_steps: imitation needs an offline_dataset, got none")
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.base.optimizer)
        losses = []
        for _ in range(steps):
            batch = self.offline_buffer.sample(self.batch_size, env=self._vec_normalize_env)
            losses.append(self._update_base(batch))
        self.policy.base_target.load_state_dict(self.policy.base.state_dict())
        self.logger.record("pretrain/base_loss", np.mean(losses[-100:]))
        self.logger.dump(step=self.num_timesteps)

    def _update_base(self, batch: ReplayBufferSamples) -> float:
        loss = self.policy.base.loss(batch.observations, batch.actions)
        self.policy.base.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.policy.base.optimizer.step()
        return loss.item()

    # ---- learning ---------------------------------------------------------------------------

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return [*super()._optimizers(), self.policy.base.optimizer]

    def _next_actions(self, observations: PyTorchObs) -> tuple[torch.Tensor, torch.Tensor | float]:
        """Of the newest base: the best candidate, or, with "sarsa", its first action."""
        policy = self.policy
        if self.backup == "sarsa":
            return policy.base.sample(observations, 1, Noise(observations))[:, 0], 0.0
        candidates = policy.candidates(observations, policy.base)
        values = policy.score(observations, candidates)
        if not self.entropy_backup:
            return pick(candidates, values.argmax(dim=1)), 0.0
        choice = torch.distributions.Categorical(logits=values / self.backup_temperature)
        bonus = self._temperature() * choice.entropy()  # type: ignore[no-untyped-call]
        return pick(candidates, choice.sample()), bonus  # type: ignore[no-untyped-call]

    def _update_actor(self, batch: ReplayBufferSamples) -> dict[str, float]:
        """One step of the base and of its average, then one of edit and temperature."""
        policy = self.policy
        figures = {"base_loss": self._update_base(batch)}
        polyak_update(policy.base.parameters(), policy.base_target.parameters(), self.ema_tau)
        if self.edit_mode != "learned":
            return figures
        edit, log_probs = self.actor.action_log_prob(batch.observations, batch.actions)  # type: ignore[call-arg]
        # Density of beta u.
        log_probs = log_probs - edit.shape[1] * math.log(self.edit_scale)
        edited = policy.edited(batch.actions, edit)
        return figures | self._update_stochastic(batch.observations, edited, log_probs)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        states, variables = super()._get_torch_save_params()
        return [*states, "policy.base.optimizer"], variables


def entropy_bound(num_components: int, edit_scale: float) -> float:
    """Entropy of the uniform law on the box of edits, which no other law exceeds: d ln(2 beta)."""
    return num_components * math.log(2 * edit_scale)


def adjusted_target_entropy(num_components: int, edit_scale: float) -> float:
    """Target -d / 2 of u, as a target of the edit beta u: d (ln beta - 1/2)."""
    return num_components * (math.log(edit_scale) - 0.5)
