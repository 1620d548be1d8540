"""Comparisons across the problems of a suite.

Costs of different problems have different units, so what is pooled is the gap of a run to its
problem's reference, in percent. Means over different problems cannot be compared: contestants are
compared in groups, on problems that all of them have played, and learned agents in pairs, on all
problems that both have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.leaderboard import Look, Table
from benchmarks.problems import family
from benchmarks.statistics import (
    Estimate,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)

#: Environment and instance.
Problem = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Standing:
    """A contestant on the problems of a group.

    Attributes
    ----------
    runs
        On all problems together.
    gap
        Interquartile mean of the gaps of all runs in percent, with its stratified bootstrap
        interval over seeds.
    profile
        Share of runs with a gap of at most each of the group's ``thresholds``, mean over problems.
    """

    contestant: str
    look: Look
    runs: int
    gap: Estimate
    profile: np.ndarray


@dataclasses.dataclass(frozen=True)
class Group:
    """Contestants that have played the same problems.

    Attributes
    ----------
    problems
        Environment and instance of at least two.
    standings
        At least two, by gap.
    thresholds
        0 and all gaps that occur in percent, in order, (N,).
    """

    problems: tuple[Problem, ...]
    standings: tuple[Standing, ...]
    thresholds: np.ndarray

    @property
    def title(self) -> str:
        """The problems as a person reads them: "TSP-v0: 20, 50; CVRP-v0: 20"."""
        instances: dict[str, list[str]] = {}
        for env_id, instance in self.problems:
            instances.setdefault(env_id.rpartition("/")[2], []).append(instance)
        return "; ".join(f"{name}: {', '.join(group)}" for name, group in instances.items())


@dataclasses.dataclass(frozen=True)
class Improvement:
    """Probability that a run of ``contestant`` costs less than one of ``other``.

    Attributes
    ----------
    problems
        Number of problems on which both have several runs; the mean is over these.
    """

    contestant: str
    other: str
    problems: int
    probability: Estimate


@dataclasses.dataclass(frozen=True)
class Across:
    """All that compares over problems; both parts may be empty."""

    groups: tuple[Group, ...]
    improvements: tuple[Improvement, ...]


@dataclasses.dataclass(frozen=True)
class _Player:
    """A ranked contestant: gaps of its runs, (S,), by problem, best first."""

    label: str
    look: Look
    gaps: Mapping[Problem, np.ndarray]


def compare(tables: Sequence[Table]) -> Across:
    """Compare the ranked contestants of a suite."""
    players = _players(tables)
    return Across(tuple(_groups(players)), tuple(_improvements(players)))


def _players(tables: Sequence[Table]) -> list[_Player]:
    """Learned agents are the same wherever their label is; "greedy" of two families is not."""
    looks: dict[tuple[str, str], Look] = {}
    gaps: dict[tuple[str, str], dict[Problem, np.ndarray]] = {}
    for table in tables:
        for row in table.ranking:
            if row.contestant in table.run_gaps:
                key = (row.contestant, "" if row.learned else family(table.env_id))
                looks[key] = row.look
                problem = table.env_id, table.instance
                gaps.setdefault(key, {})[problem] = table.run_gaps[row.contestant]
    return [_Player(key[0], looks[key], gaps[key]) for key in gaps]


def _groups(players: Sequence[_Player]) -> list[Group]:
    """Groups of the most problems first; a later one must bring in a contestant."""
    candidates: dict[tuple[Problem, ...], list[_Player]] = {}
    for player in players:
        problems = tuple(player.gaps)
        if len(problems) > 1 and problems not in candidates:
            candidates[problems] = [p for p in players if set(problems) <= p.gaps.keys()]
    found: list[Group] = []
    met: set[int] = set()
    for problems in sorted(candidates, key=len, reverse=True):
        members = candidates[problems]
        new = {id(member) for member in members} - met
        if len(members) > 1 and new:
            met |= new
            found.append(_group(problems, members))
    return found


def _group(problems: tuple[Problem, ...], members: Sequence[_Player]) -> Group:
    gaps = [[member.gaps[problem] for problem in problems] for member in members]
    thresholds = np.unique(np.concatenate([[0.0], *(runs for one in gaps for runs in one)]))
    standings = [
        Standing(
            member.label,
            member.look,
            sum(len(runs) for runs in one),
            stratified_bootstrap(interquartile_mean, one),
            1 - performance_profile(one, thresholds),
        )
        for member, one in zip(members, gaps, strict=True)
    ]
    standings.sort(key=lambda standing: standing.gap.value)
    return Group(problems, tuple(standings), thresholds)


def _improvements(players: Sequence[_Player]) -> list[Improvement]:
    """All ordered pairs of learned agents that both have several runs on some problem."""
    agents = [player for player in players if player.look == "learned"]
    found = []
    for one in agents:
        for other in agents:
            common = [
                problem
                for problem, runs in one.gaps.items()
                if one is not other and min(len(runs), len(other.gaps.get(problem, ()))) > 1
            ]
            if common:
                # Scores are better when they are higher, gaps when they are lower.
                probability = stratified_bootstrap(
                    probability_of_improvement,
                    [-one.gaps[problem] for problem in common],
                    [-other.gaps[problem] for problem in common],
                )
                found.append(Improvement(one.label, other.label, len(common), probability))
    return found
