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

#: What is likelier is not in doubt.
_CERTAIN = 0.99


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of drawn solutions that are not complete, with a choice to make and in doubt.

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
) -> tuple[list[Step], torch.Tensor, int]:
    """Draw ``group_size`` solutions of each instance.

    Steps that the policy was all but certain of are left out: their gradient is next to nothing,
    and they are most steps of a good policy.

    Returns
    -------
    Their steps in doubt; what each solution is better than the mean of its group, as a share of
    that mean, (groups * group_size,); and the number of steps with a choice, certain ones included.
    """
    steps: list[Step] = []
    num = 0

    def visit(
        rows: torch.Tensor, some: Any, state: Any, actions: torch.Tensor, chance: torch.Tensor
    ) -> None:
        nonlocal num
        free = candidates(policy.problem, some, state).any(dim=1)
        num += int(free.sum())
        # One at least, for processes that train together expect a gradient of each other.
        live = torch.nonzero(free & (chance < (_CERTAIN if steps else torch.inf)))[:, 0]
        if len(live):
            steps.append(Step(rows[live], some.rows(live), state.rows(live), actions[live]))

    every = torch.arange(instance.num, device=policy.device).repeat_interleave(group_size)
    found = construct(policy, problem, instance.rows(every), deterministic=False, visit=visit)
    rewards = found.total_reward.reshape(-1, group_size)
    mean = rewards.mean(dim=1, keepdim=True)
    return steps, ((rewards - mean) / mean.abs().clamp(min=1e-9)).flatten(), num


def descend(policy: BQPolicy, steps: list[Step], advantages: torch.Tensor, total: int) -> float:
    """Add the gradient of the surrogate to that of the parameters.

    Parameters
    ----------
    total
        Steps that the mean is over, certain ones and those of other processes included.

    Returns
    -------
    The steps' own part of the mean negative log-probability, to which certain ones add nothing.
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
