"""Decoders: greedy episodes, the best of several, and the policy inside the pilot method.

All play the problem's own dynamics, so that what they return can be replayed and costs what they
say. Draws come from torch's global generator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from agents.gnn_ppo.episodes import Played, follow, play
from agents.gnn_ppo.policy import GNNPolicy
from or_envs.core.problem import AnyProblem
from or_envs.job_shop.problem import JobShop

#: Episodes that are played side by side.
_EPISODES = 8192
#: Keeps the draws apart from those of episodes, which are seeded with one number.
_STREAM = 1


def greedy(policy: GNNPolicy, problem: AnyProblem, instance: Any) -> Played:
    """Take the likeliest action in every state of a deterministic problem."""
    return play(follow(policy), problem, instance)


def best_of(policy: GNNPolicy, problem: AnyProblem, instance: Any, episodes: int) -> Played:
    """Return the best of several episodes of every instance: the greedy one, and draws.

    Parameters
    ----------
    policy, problem, instance
        As for :func:`greedy`.
    episodes
        N >= 1, the greedy one included.
    """
    _check("episodes", episodes)
    parts = []
    together = max(_EPISODES // episodes, 1)
    for start in range(0, instance.num, together):
        rows = np.arange(start, min(start + together, instance.num))
        some = _rows(instance, rows)
        first = np.arange(len(rows) * episodes) % episodes == 0
        played = play(follow(policy, first), problem, some.repeat(episodes))
        best = played.total_reward.reshape(-1, episodes).argmax(axis=1)
        parts.append(played.pick(best + episodes * np.arange(len(rows))))
    return _join(parts)


def pilot(policy: GNNPolicy, problem: AnyProblem, instance: Any, completions: int) -> Played:
    """Look ahead with the policy at each state of the best episode found so far.

    Every allowed action is completed by the greedy episode and by draws of the policy. That is the
    fortified rollout algorithm of Bertsekas, Tsitsiklis and Wu (1997).

    Parameters
    ----------
    policy, problem, instance
        As for :func:`greedy`; instances are searched one after the other.
    completions
        R >= 1, completions of an action.
    """
    _check("completions", completions)
    rows = range(instance.num)
    return _join(
        [_search(policy, problem, _rows(instance, np.array([row])), completions) for row in rows]
    )


def _search(policy: GNNPolicy, problem: AnyProblem, instance: Any, completions: int) -> Played:
    """:func:`pilot` of a batch of one."""
    state = problem.initial(instance)
    plan: list[int] = []
    best, so_far, step = -np.inf, 0.0, 0
    while not plan or step < len(plan):
        outlook = look_ahead(policy, problem, instance, state, None, completions)
        values = so_far + outlook.total_reward[:, :, 0]
        completion, action = np.unravel_index(int(values.argmax()), values.shape)
        if values[completion, action] > best:
            best = float(values[completion, action])
            rest = outlook.completion(int(completion), int(action))
            plan = [*plan[:step], int(outlook.actions[action]), *rest]
        taken = np.flatnonzero(outlook.actions == plan[step])
        so_far += float(outlook.reward[taken[0]])
        state = outlook.following.rows(taken)
        step += 1
    return Played(np.array([best]), np.array([plan]), np.array([len(plan)]))


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Completions of the actions of one state.

    Attributes
    ----------
    actions
        The A actions that are allowed.
    reward
        Of the step, (A x S): those of the first action in every scenario come first.
    following
        States after it, (A x S) rows.
    total_reward
        From the state on, of every completion, (R, A, S).
    played
        The completions that had to be played, R for each row of ``going``.
    going
        Rows of ``following`` that are not over.
    """

    actions: np.ndarray
    reward: np.ndarray
    following: Any
    total_reward: np.ndarray
    played: Played | None
    going: np.ndarray

    def completion(self, number: int, action: int) -> list[int]:
        """Actions of one completion in the first scenario."""
        scenarios = self.total_reward.shape[2]
        at = np.flatnonzero(self.going == action * scenarios)
        if self.played is None or not len(at):
            return []
        row = number + self.total_reward.shape[0] * int(at[0])
        rest: list[int] = self.played.actions[row, : self.played.num_steps[row]].tolist()
        return rest


def look_ahead(
    policy: GNNPolicy,
    problem: AnyProblem,
    instance: Any,
    state: Any,
    future: Any,
    completions: int,
) -> Outlook:
    """Complete every allowed action of a state.

    Parameters
    ----------
    instance, state
        Batches of one.
    future
        S scenarios of what is to come, the same for all actions; ``None`` if there is no luck.
    completions
        R: the greedy one, then draws.
    """
    mask = np.asarray(problem.action_mask(instance, state))[0]
    actions = np.flatnonzero(mask)
    scenarios = 1 if future is None else future.num
    scenario = np.tile(np.arange(scenarios), len(actions))
    before = state.rows(np.zeros(len(scenario), dtype=np.int64))
    luck = None if future is None else future.rows(scenario)
    post, decision_reward = problem.post_decision(instance, before, np.repeat(actions, scenarios))
    following, outcome, over = problem.transition(instance, post, luck)
    reward = decision_reward + outcome
    total = np.repeat(reward[:, None], completions, axis=1)
    going, played = np.flatnonzero(~over), None
    if len(going):
        rows = np.repeat(going, completions)
        first = np.arange(len(rows)) % completions == 0
        played = play(
            follow(policy, first),
            problem,
            instance,
            None if luck is None else luck.rows(rows),
            following.rows(rows),
        )
        total[going] += played.total_reward.reshape(-1, completions)
    shaped = total.reshape(len(actions), scenarios, completions).transpose(2, 0, 1)
    return Outlook(actions, reward, following, shaped, played, going)


class Pilot:
    """Rule that takes the action whose best completion is the best in the mean over scenarios.

    Parameters
    ----------
    policy
        Completes.
    problem
        A job shop, with or without shutdowns.
    completions
        Completions of an action: the greedy one, then draws; >= 1.
    scenarios
        Draws of the shutdowns to come, where there are any; >= 1.
    seed
        Of these draws.

    Raises
    ------
    ValueError
        If the problem is another, or an argument is outside its range.
    """

    def __init__(
        self,
        policy: GNNPolicy,
        problem: AnyProblem,
        completions: int = 4,
        scenarios: int = 16,
        seed: int = 0,
    ) -> None:
        if not isinstance(problem, JobShop):
            raise ValueError(f"problem: expected JobShop, got {type(problem).__name__}")
        _check("completions", completions)
        _check("scenarios", scenarios)
        self.policy = policy
        self.problem = problem
        self.completions = completions
        self.scenarios = scenarios
        self.seed = seed

    def __call__(self, instance: Any, state: Any) -> np.ndarray:
        """Return the actions, (B,), one row after the other."""
        actions = np.zeros(state.num, dtype=np.int64)
        masks = np.asarray(self.problem.action_mask(instance, state))
        for row in range(state.num):
            if masks[row].sum() < 2:  # also where the episode is over
                actions[row] = masks[row].argmax()
                continue
            one = np.array([row])
            actions[row] = self._decide(_rows(instance, one), state.rows(one))
        return actions

    def _decide(self, instance: Any, state: Any) -> int:
        future = None
        if self.problem.stochastic:
            moment = (self.seed, int(state.clock[0]), int((state.start[0] >= 0).sum()), _STREAM)
            rngs = np.random.default_rng(moment).spawn(self.scenarios)
            many = state.rows(np.zeros(self.scenarios, dtype=np.int64))
            future = self.problem.sample_future(instance, many, rngs)
        outlook = look_ahead(self.policy, self.problem, instance, state, future, self.completions)
        return int(outlook.actions[outlook.total_reward.max(axis=0).mean(axis=1).argmax()])


def decoder(name: str, policy: GNNPolicy, problem: AnyProblem) -> Callable[[Any], Played]:
    """Return the search of a name: from a batch of instances to episodes.

    "greedy"; "samples:N", the best of N; "pilot:R".

    Raises
    ------
    ValueError
        If the name is another, or the problem is not deterministic.
    """
    kind, _, number = name.partition(":")
    numbered = {"greedy": False, "samples": True, "pilot": True}
    if kind not in numbered or numbered[kind] != (number.isdigit() and int(number) > 0):
        raise ValueError(
            f"decoder: expected greedy, samples:N or pilot:R with a number >= 1, got {name!r}"
        )
    if getattr(problem, "stochastic", False):
        raise ValueError("decoder: searches need a deterministic problem; set p_down to 0")
    if kind == "samples":
        return lambda instance: best_of(policy, problem, instance, int(number))
    if kind == "pilot":
        return lambda instance: pilot(policy, problem, instance, int(number))
    return lambda instance: greedy(policy, problem, instance)


def _check(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}: expected an integer >= 1, got {value}")


def _rows(instance: Any, rows: np.ndarray) -> Any:
    """Rows of a batch as a batch of their own."""
    return instance.rows(rows) if instance.num > 1 else instance


def _join(parts: list[Played]) -> Played:
    longest = max(part.actions.shape[1] for part in parts)
    padded = [
        np.pad(p.actions, ((0, 0), (0, longest - p.actions.shape[1])), constant_values=-1)
        for p in parts
    ]
    return Played(
        np.concatenate([part.total_reward for part in parts]),
        np.concatenate(padded),
        np.concatenate([part.num_steps for part in parts]),
    )
