"""Policy gradient from the policy's own solutions, with the mean of a group as baseline.

Imitation makes likely what a solver does; what counts for greedy construction is what the policy's
own next steps cost. Several solutions of one instance are drawn, and the steps of those that are
better than their mean become likelier (arXiv 2010.16011 without its shared starts).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from agents.bq_nco.policy import BQPolicy
from agents.bq_nco.search import construct
from agents.bq_nco.tails import candidates
from or_envs.core.problem import AnyProblem


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of drawn solutions that are not complete, with a choice to make.

    Attributes
    ----------
    rows
        Which solutions, (B,).
    instance, state
        Where they are, B rows.
    actions
        What was chosen, (B,).
    """

    rows: torch.Tensor
    instance: Any
    state: Any
    actions: torch.Tensor


def draw_steps(
    policy: BQPolicy, problem: AnyProblem, instance: Any, group_size: int
) -> tuple[list[Step], torch.Tensor]:
    """Draw ``group_size`` solutions of each instance.

    Returns
    -------
    Their steps, and what each solution is better than the mean of its group, as a share of that
    mean, (groups * group_size,).
    """
    steps: list[Step] = []

    def visit(rows: torch.Tensor, some: Any, state: Any, actions: torch.Tensor) -> None:
        live = torch.nonzero(candidates(policy.problem, some, state).any(dim=1))[:, 0]
        if len(live):
            steps.append(Step(rows[live], some.rows(live), state.rows(live), actions[live]))

    every = torch.arange(instance.num, device=policy.device).repeat_interleave(group_size)
    found = construct(policy, problem, instance.rows(every), deterministic=False, visit=visit)
    rewards = found.total_reward.reshape(-1, group_size)
    mean = rewards.mean(dim=1, keepdim=True)
    return steps, ((rewards - mean) / mean.abs().clamp(min=1e-9)).flatten()


def descend(policy: BQPolicy, steps: list[Step], advantages: torch.Tensor, total: int) -> float:
    """Add the gradient of the surrogate to that of the parameters.

    Parameters
    ----------
    total
        Steps that the mean is over, those of other processes included.

    Returns
    -------
    The steps' own part of the mean negative log-probability.
    """
    surprise = 0.0
    for step in steps:
        scores, actions = policy.scores(step.instance, step.state)
        chosen = (actions == step.actions[:, None]) & torch.isfinite(scores)
        log_prob = scores.log_softmax(dim=1).masked_fill(~chosen, 0.0).sum(dim=1)
        loss = -(advantages[step.rows] * log_prob).sum() / total
        loss.backward()  # type: ignore[no-untyped-call]
        surprise -= log_prob.detach().sum().item() / total
    return surprise
