"""Contestants for the command line: a baseline by name, or a trained model by its file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import or_envs
from baselines.common.solution import Solution
from benchmarks import contestants, zoo
from benchmarks.config import read_yaml
from benchmarks.errors import UserError
from benchmarks.hyperparameters import agents
from benchmarks.training import MODEL
from or_envs.core.problem import AnyProblem


def load_player(name: str, algorithm: str | None, problem: AnyProblem, seed: int) -> Any:
    """A rule or a solver.

    Parameters
    ----------
    name
        Name of a baseline, "module:factory", a model of the zoo, a model file, or a folder that
        ``train`` made.
    algorithm
        Agent that the model file is of (default: what ``config.yml`` beside it says).

    Raises
    ------
    UserError
        If there is no such contestant, or it does not fit the problem.
    """
    path = zoo.find(name)
    if path is not None:
        return or_envs.policy_rule(problem, load_model(path, algorithm, problem))
    if contestants.is_agent(name):
        raise UserError(f"contestant: {name!r} has to be trained; give the file of a trained model")
    contestants.check_name(name)
    try:
        return contestants.make(name, problem, seed, {})
    except (ValueError, TypeError) as error:
        raise UserError(f"contestant: {name}: {error}") from error


def trained(problem: AnyProblem, seed: int, name: str) -> Any:
    """A trained agent as a contestant of a suite, by its folder: one of the package, or any other.

    Raises
    ------
    UserError
        If there is no such folder, or its agent does not fit the problem.
    """
    return load_player(str(zoo.find_folder(name)), None, problem, seed)


class TrainedSearch:
    """A trained agent with a search, as a solver of a suite.

    Parameters
    ----------
    problem, seed
        As for every contestant; the search has a seed of its own.
    name
        Folder of the agent, one of the package or any other.
    decoder
        See :func:`agents.bq_nco.search.decoder` and :func:`agents.gnn_ppo.search.decoder`.

    Raises
    ------
    UserError
        If there is no such folder, or its agent does not fit the problem.
    """

    def __init__(self, problem: AnyProblem, seed: int, name: str, decoder: str) -> None:
        model = load_model(zoo.find_folder(name) / MODEL, None, problem)
        if not hasattr(model, "searcher"):
            raise UserError(f"contestant: the agent of {name!r} has no searches")
        try:
            self._search = model.searcher(problem, decoder)
        except ValueError as error:
            raise UserError(f"contestant: {error}") from error
        self.problem = problem

    def solve(
        self, instance: Any, exogenous: Any = None, time_limit: float | None = None
    ) -> Solution:
        """Search; there is no way to stop early."""
        start = time.perf_counter()
        found = self._search(instance)[0]
        actions = found[found >= 0]
        # The search runs in single precision; its cost is the environment's.
        cost = -float(or_envs.simulate(self.problem, actions[None], instance).total_reward[0])
        return Solution(actions, cost, None, "feasible", time.perf_counter() - start)


def load_model(path: Path, algorithm: str | None, problem: AnyProblem) -> Any:
    """Load a trained model for ``predict``."""
    if not path.is_file():
        raise UserError(f"contestant: no model file {path}")
    if algorithm is None:
        config = path.parent / "config.yml"
        if not config.is_file():
            raise UserError(f"algo: {path} has no config.yml beside it, so name its algorithm")
        algorithm = read_yaml(config)["algo"]
    if not contestants.is_agent(algorithm):
        allowed = ", ".join(agents())
        raise UserError(f"algo: unknown {algorithm!r}; allowed are {allowed}")
    from agents.registration import agent_class

    try:
        model = agent_class(algorithm).load(path)
    except ValueError as error:
        raise UserError(f"contestant: {error}") from error
    except (KeyError, TypeError) as error:
        raise UserError(f"contestant: {path}: its settings are damaged: {error!r}") from error
    try:
        model.check_problem(problem)
    except ValueError as error:
        raise UserError(f"contestant: {path} {error}") from error
    return model
