"""Seeded runs of pymoo's genetic algorithm with a fitness that takes whole populations."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from or_envs.extras import MissingExtraError

#: Costs (P,) of a population (P, n).
Fitness = Callable[[np.ndarray], np.ndarray]
#: Better permutations (P, length) from permutations.
LocalSearch = Callable[[np.ndarray], np.ndarray]
#: Called after every generation with its number, from 1, and the best cost so far.
Progress = Callable[[int, float], None]


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long a genetic algorithm runs.

    Parameters
    ----------
    population
        Individuals per generation, at least 2.
    generations
        Generations, the initial one included, at least 1.
    seconds
        No generation starts after this wall-clock time; the first always does.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    population: int = 100
    generations: int = 100
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.population < 2:
            raise ValueError(f"population: expected an integer >= 2, got {self.population!r}")
        if self.generations < 1:
            raise ValueError(f"generations: expected an integer >= 1, got {self.generations!r}")
        if self.seconds is not None and not self.seconds >= 0:
            raise ValueError(f"seconds: expected a number >= 0, got {self.seconds!r}")


@dataclasses.dataclass(frozen=True)
class GeneticResult:
    """Best individual of a run.

    Attributes
    ----------
    best
        Its genes, (n,).
    objective
        Its cost.
    history
        Best cost so far after every generation.
    """

    best: np.ndarray
    objective: float
    history: np.ndarray


def minimize_real(
    fitness: Fitness,
    low: np.ndarray,
    high: np.ndarray,
    budget: Budget,
    seed: int,
    progress: Progress | None = None,
) -> GeneticResult:
    """Minimise over vectors in a box: simulated binary crossover and polynomial mutation.

    Parameters
    ----------
    fitness
        Costs of a population of real vectors (P, n).
    low, high
        The box, (n,) each.
    """
    _pymoo()
    from pymoo.algorithms.soo.nonconvex.ga import GA

    return _run(GA(pop_size=budget.population), fitness, low, high, budget, seed, progress)


def minimize_integer(
    fitness: Fitness,
    high: np.ndarray,
    budget: Budget,
    seed: int,
    progress: Progress | None = None,
    initial: np.ndarray | None = None,
    mutation: float = 0.01,
) -> GeneticResult:
    """Minimise over vectors of 0..high: uniform crossover, and genes drawn anew.

    Parameters
    ----------
    fitness
        Costs of a population of integer vectors (P, n).
    high
        Largest values, integers (n,).
    initial
        Vectors (K, n), K <= P, that replace the first random ones.
    mutation
        Probability that a gene of a child is drawn anew.
    """
    _pymoo()
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.mutation import Mutation
    from pymoo.operators.crossover.ux import UniformCrossover

    class Redraw(Mutation):
        def _do(
            self, problem: Any, x: np.ndarray, *args: Any, random_state: Any, **kwargs: Any
        ) -> np.ndarray:
            fresh = random_state.integers(0, high + 1, size=x.shape)
            return np.where(random_state.random(x.shape) < mutation, fresh, x)

    rng = np.random.default_rng(seed)
    population = rng.integers(0, high + 1, size=(budget.population, len(high)))
    if initial is not None:
        population[: len(initial)] = initial
    algorithm = GA(
        pop_size=budget.population,
        sampling=population,
        crossover=UniformCrossover(),
        mutation=Redraw(prob=1.0),
        eliminate_duplicates=False,
    )
    return _run(algorithm, fitness, np.zeros(len(high)), high, budget, seed, progress)


def minimize_keys(
    fitness: Fitness,
    length: int,
    budget: Budget,
    seed: int,
    progress: Progress | None = None,
) -> GeneticResult:
    """Minimise over keys in [0, 1]: biased random-key algorithm (Goncalves and Resende 2011).

    A fifth of the population, the elite, survives. Children take each key from an elite parent with
    probability 0.7, else from another one; 15 % are drawn anew. Elites differ in cost as long as
    there are others: where many keys mean the same, they would soon be copies of one solution.

    Parameters
    ----------
    fitness
        Costs of a population of keys (P, length).
    length
        Number of keys.
    """
    _pymoo()
    from pymoo.algorithms.soo.nonconvex.brkga import BRKGA, EliteSurvival

    class DistinctElite(EliteSurvival):
        def _do(self, problem: Any, pop: Any, **kwargs: Any) -> Any:
            pop = pop[pop.get("F")[:, 0].argsort(kind="stable")]
            _, first = np.unique(pop.get("F")[:, 0], return_index=True)
            pop = pop[np.concatenate([first, np.setdiff1d(np.arange(len(pop)), first)])]
            kinds = np.full(len(pop), "non_elite", dtype=object)
            kinds[: self.n_elites] = "elite"
            pop.set("type", kinds)
            return pop

    elite, fresh = max(1, budget.population // 5), round(0.15 * budget.population)
    algorithm = BRKGA(
        n_elites=elite,
        n_offsprings=budget.population - elite - fresh,
        n_mutants=fresh,
        bias=0.7,
        survival=DistinctElite(elite),
    )
    algorithm.mating.n_max_iterations = 1  # parents that are alike have no other children
    return _run(algorithm, fitness, np.zeros(length), np.ones(length), budget, seed, progress)


def minimize_permutation(
    fitness: Fitness,
    length: int,
    budget: Budget,
    seed: int,
    progress: Progress | None = None,
    initial: np.ndarray | None = None,
    improve: LocalSearch | None = None,
) -> GeneticResult:
    """Minimise over permutations of 0..length-1: order crossover and inversion mutation.

    Parameters
    ----------
    fitness
        Costs of a population of permutations (P, length).
    length
        At least 2.
    initial
        Permutations (K, length), K <= P, that replace the first random ones.
    improve
        Local search that every individual goes through first (a memetic algorithm). Children that
        come out as an individual of the population are dropped; the run ends when all do.
    """
    _pymoo()
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.repair import Repair
    from pymoo.operators.crossover.ox import OrderCrossover
    from pymoo.operators.mutation.inversion import InversionMutation

    class Improvement(Repair):
        def _do(self, problem: Any, x: np.ndarray, **kwargs: Any) -> np.ndarray:
            return x if improve is None else improve(x)

    rng = np.random.default_rng(seed)
    population = rng.permuted(np.tile(np.arange(length), (budget.population, 1)), axis=1)
    if initial is not None:
        population[: len(initial)] = initial
    algorithm = GA(
        pop_size=budget.population,
        sampling=population,
        crossover=OrderCrossover(),
        mutation=InversionMutation(),
        # Where there are hardly more permutations than individuals, pymoo would search long for
        # one that it does not have yet.
        eliminate_duplicates=improve is not None
        or math.factorial(length) > 100 * budget.population,
        repair=Improvement(),
    )
    if improve is not None:
        algorithm.mating.n_max_iterations = 1  # local optima are few, and searches take time
    low, high = np.zeros(length), np.full(length, length - 1)
    return _run(algorithm, fitness, low, high, budget, seed, progress)


def _pymoo() -> None:
    try:
        import pymoo  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("the genetic algorithm", "pymoo") from None


def _run(
    algorithm: Any,
    fitness: Fitness,
    low: np.ndarray,
    high: np.ndarray,
    budget: Budget,
    seed: int,
    progress: Progress | None,
) -> GeneticResult:
    from pymoo.core.problem import Problem as PymooProblem

    class Population(PymooProblem):
        def __init__(self) -> None:
            super().__init__(n_var=len(low), n_obj=1, xl=low, xu=high)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = fitness(x)

    start = time.perf_counter()
    limit = math.inf if budget.seconds is None else budget.seconds
    algorithm.setup(
        Population(), termination=("n_gen", budget.generations), seed=seed, verbose=False
    )
    history: list[float] = []
    while algorithm.has_next():
        if history and time.perf_counter() - start >= limit:
            break
        algorithm.next()
        history.append(float(algorithm.opt[0].F[0]))
        if progress is not None:
            progress(len(history), history[-1])
    best = algorithm.opt[0]
    return GeneticResult(np.array(best.X), float(best.F[0]), np.array(history))
