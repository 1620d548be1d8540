"""Policies: an encoder, a score for every candidate, and a value if there is a critic."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.nn import functional as F

from agents.gnn_ppo.encoder import Encoded, Encoder, Seen
from agents.gnn_ppo.fleet_graph import FleetGraph, Pointer
from agents.gnn_ppo.job_graph import JobGraph
from agents.gnn_ppo.job_tokens import JobTokens
from agents.gnn_ppo.masking import choose, log_probabilities
from or_envs.core.problem import AnyProblem

#: Decisions that are scored at a time where no gradient is needed.
_ROWS = 4096


class GNNPolicy(BasePolicy):
    """Scores the entities that actions choose; its weights fit every number of them.

    Subclasses say which encoder sees the observations, and how many actions choose no entity.

    Parameters
    ----------
    observation_space, action_space, lr_schedule, optimizer_class, optimizer_kwargs
        As in SB3.
    critic
        Whether to have a network for values.
    precision
        "float32", or "bfloat16" for matrix products.
    use_sde
        SB3 hands it over; there is nothing to explore with.
    **architecture
        Arguments of the encoder.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the observations are others.
    """

    #: Keys that observations must have.
    keys: tuple[str, ...] = ()
    #: Actions after those that choose an entity.
    num_others = 0

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        lr_schedule: Schedule,
        critic: bool = False,
        precision: str = "float32",
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        use_sde: bool = False,
        **architecture: Any,
    ) -> None:
        assert not use_sde
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")
        there = set(observation_space) if isinstance(observation_space, gym.spaces.Dict) else set()
        if not set(self.keys) <= there:
            raise ValueError(
                f"env: {type(self).__name__} needs observations with {', '.join(self.keys)},"
                f" got {observation_space}"
            )
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.precision = precision
        self.encoder = self.make_encoder(**architecture)
        width, context = self.encoder.width, self.encoder.context_width
        self.make_scorer(width, context)
        self.value = _mlp(context, width, 1) if critic else None
        self.start()
        values = [] if self.value is None else list(self.value.parameters())
        self.optimizer = self.optimizer_class(
            # Values come last, as a group that may have a learning rate of its own.
            [
                {"params": [p for p in self.parameters() if all(p is not q for q in values)]},
                *([{"params": values}] if values else []),
            ],
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def make_encoder(self, **architecture: Any) -> Encoder:
        """Build the encoder."""
        raise NotImplementedError

    def make_scorer(self, width: int, context: int) -> None:
        """Build what scores actions, for embeddings and contexts of these widths."""
        self.from_candidate = nn.Linear(width, width)
        self.from_context = nn.Linear(context, width, bias=False)
        self.score = nn.Linear(width, 1)
        self.others = _mlp(context, width, self.num_others) if self.num_others else None

    def start(self) -> None:
        """Set what weights start with, where that is not torch's default."""

    # ---- scoring ----------------------------------------------------------------------------

    def evaluate(
        self, seen: Seen, allowed: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probabilities (B, A) of all actions, and values (B,) if there is a critic."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            encoded = self.encoder(seen)
            scores = self._scores(encoded, allowed)
            values = None if self.value is None else self.value(encoded.context)[:, 0].float()
        return log_probabilities(scores, allowed), values

    def _scores(self, encoded: Encoded, allowed: torch.Tensor) -> torch.Tensor:
        """Scores (B, A); only candidates that are allowed, a few of many, have one."""
        num = encoded.candidates.shape[1]
        rows, places = allowed[:, :num].nonzero(as_tuple=True)
        common = self.from_context(encoded.context)
        hidden = F.relu(self.from_candidate(encoded.candidates[rows, places]) + common[rows])
        found = self.score(hidden)[:, 0]
        scores = found.new_zeros(len(allowed), num).index_put((rows, places), found)
        if self.others is not None:
            scores = torch.cat([scores, self.others(encoded.context)], dim=1)
        return scores

    def keep_value_gradients(self) -> None:
        """Drop all gradients but those of the network for values."""
        for name, parameter in self.named_parameters():
            if not name.startswith("value."):
                parameter.grad = None

    # ---- deciding ---------------------------------------------------------------------------

    @torch.no_grad()
    def decide(
        self,
        seen: dict[str, np.ndarray],
        allowed: np.ndarray,
        temperature: np.ndarray | float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Actions (B,) and their log-probabilities; the only action that is allowed is not scored.

        Draws come from torch's global generator.

        Parameters
        ----------
        seen, allowed
            B observations and masks (B, A).
        temperature
            See :func:`agents.gnn_ppo.masking.choose`; of all rows, or float32 (B,).
        """
        actions = allowed.argmax(axis=1)
        chances = np.zeros(len(actions), dtype=np.float32)
        free = np.flatnonzero(allowed.sum(axis=1) > 1)
        for start in range(0, len(free), _ROWS):
            rows = free[start : start + _ROWS]
            some = {name: self._tensor(value[rows]) for name, value in seen.items()}
            log_probs, _ = self.evaluate(some, self._tensor(allowed[rows]))
            chosen = choose(
                log_probs,
                self._tensor(temperature[rows])
                if isinstance(temperature, np.ndarray)
                else temperature,
            )
            actions[rows] = chosen.cpu().numpy()
            chances[rows] = log_probs.gather(1, chosen[:, None])[:, 0].cpu().numpy()
        return actions, chances

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def predict(  # type: ignore[override]
        self,
        observation: dict[str, np.ndarray],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Any]:
        """Decide on one observation or a batch, of any number of entities.

        Parameters
        ----------
        observation, deterministic
            As in SB3.
        state, episode_start
            There is no hidden state.
        action_masks
            Allowed actions; needed where observations have no "action_mask".
        """
        mask = observation.get("action_mask") if action_masks is None else action_masks
        if mask is None:
            raise ValueError("action_masks: needed, as the observations hold no action_mask")
        single = np.ndim(mask) == 1
        seen = {
            name: np.asarray(value)[None] if single else np.asarray(value)
            for name, value in observation.items()
        }
        self.set_training_mode(False)
        allowed = np.atleast_2d(np.asarray(mask) > 0)
        actions, _ = self.decide(seen, allowed, float(not deterministic))
        return (actions[0] if single else actions), state

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        """Decide on tensors; SB3 asks for it."""
        allowed = observation["action_mask"] > 0
        return choose(self.evaluate(observation, allowed)[0], float(not deterministic))


class JobTokenPolicy(GNNPolicy):
    """Job shop, observation "jobs": see :class:`agents.gnn_ppo.job_tokens.JobTokens`."""

    keys = ("jobs", "action_mask")
    num_others = 1

    def make_encoder(self, **architecture: Any) -> Encoder:
        """Build the encoder."""
        return JobTokens(**architecture)

    def start(self) -> None:
        """Seldom wait at first: a policy that waits half the time is far worse."""
        _seldom(self.others)


class JobGraphPolicy(GNNPolicy):
    """Job shop, observation "graph": see :class:`agents.gnn_ppo.job_graph.JobGraph`."""

    keys = ("nodes", "machine", "action_mask")
    num_others = 1

    def make_encoder(self, **architecture: Any) -> Encoder:
        """Build the encoder."""
        return JobGraph(**architecture)

    def start(self) -> None:
        """Seldom wait at first."""
        _seldom(self.others)


class FleetGraphPolicy(GNNPolicy):
    """Fleet, observation "relational": see :class:`agents.gnn_ppo.fleet_graph.FleetGraph`."""

    keys = ("vertiports", "aircraft", "series", "context")

    def make_encoder(self, **architecture: Any) -> Encoder:
        """Build the encoder."""
        return FleetGraph(**architecture)

    def make_scorer(self, width: int, context: int) -> None:
        """Build the pointer."""
        self.pointer = Pointer(width, context)

    def _scores(self, encoded: Encoded, allowed: torch.Tensor) -> torch.Tensor:
        """Scores (B, N) of destinations."""
        assert encoded.scores is not None
        return encoded.scores + self.pointer(encoded.candidates, encoded.context)  # type: ignore[no-any-return]


def allowed_actions(
    problem: AnyProblem, instance: Any, state: Any, seen: dict[str, np.ndarray]
) -> np.ndarray:
    """Allowed actions, bool (B, A); out of the observation if it has them."""
    if "action_mask" in seen:
        return seen["action_mask"] > 0
    return np.asarray(problem.action_mask(instance, state))


def _seldom(others: nn.Module | None) -> None:
    assert isinstance(others, nn.Sequential)
    last = others[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, -2.0)


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))
