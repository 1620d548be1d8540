"""Contestants with known behaviour; suites name them "tests.benchmarks.fakes:factory"."""

import os
import time

import numpy as np

from baselines.common.solution import Solution
from or_envs import simulate


def idle(problem, seed):
    return lambda instance, state: np.zeros_like(state.setup)


def first_item(problem, seed):
    return lambda instance, state: np.ones_like(state.setup)


def patient(problem, seed, seconds=1.0):
    """Ready after a while, so that a test can kill it before."""
    time.sleep(seconds)
    return idle(problem, seed)


def marked(problem, seed, folder):
    """Leaves a file at every construction, so that a test can count them."""
    with open(os.path.join(folder, f"{time.time_ns()}"), "w", encoding="utf-8"):
        pass
    return idle(problem, seed)


def outside(problem, seed):
    return lambda instance, state: np.full_like(state.setup, 99)


def raising(problem, seed):
    raise RuntimeError("a deliberate\nfailure")


def dying(problem, seed):
    os._exit(7)


def good_after(problem, seed, path):
    """Fails until the file is there."""
    if not os.path.exists(path):
        raise RuntimeError("not yet")
    return idle(problem, seed)


def priced(connection, cells, folder, evaluations):
    """A tuning's trainings that take no time: the cost is the learning rate's distance to 0.001.

    1.0 of ent_coef fails, and 2.0 ends the process. Every seed makes a mark that can be counted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    costs = []
    for number, cell in enumerate(cells):
        with (folder / "marks.txt").open("a", encoding="utf-8") as file:
            file.write(f"{cell.hash}\n")
        values = cell.contestant.settings
        if values["ent_coef"] == 1.0:
            raise RuntimeError("a deliberate\nfailure")
        if values["ent_coef"] == 2.0:
            os._exit(7)
        cost = 1.0 + abs(values["learning_rate"] - 0.001)
        for part in range(1, evaluations):
            connection.send((number * evaluations + part, cost))
        costs.append(cost)
        while number and (folder / "wait").exists():
            time.sleep(0.05)
    connection.send(costs)


class Planner:
    """Plans to idle for ever; sees the trace, and says what it is told to say of the cost."""

    def __init__(self, problem, seed, error=0.0, slack=1.0):
        self.problem = problem
        self.error = error
        self.slack = slack

    def solve(self, instance, exogenous=None, time_limit=None):
        if exogenous is None:
            raise ValueError("exogenous: missing")
        actions = np.zeros((1, self.problem.max_steps, self.problem.n_machines), dtype=np.int64)
        cost = -float(simulate(self.problem, actions, instance, exogenous).total_reward[0])
        return Solution(actions[0], cost + self.error, cost - self.slack, "optimal", 0.0)


class Floor:
    """A bound in expectation, without plans."""

    def __init__(self, problem, seed, value=1.0):
        self.value = value

    def solve(self, instance, exogenous=None, time_limit=None):
        assert exogenous is None, "sees_future is off, but the trace was given"
        return Solution(None, self.value, self.value, "optimal", 0.0)


def stuck_at_first(problem, seed, path):
    """The first is never ready; leaves its process and the parent of that, to be killed."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {os.getppid()}\n")
    except FileExistsError:
        return idle(problem, seed)
    time.sleep(600)
    raise RuntimeError("not killed")
