"""Linear and integer programs as sparse matrices, handed to HiGHS as they are.

Building the models of a day with pyomo takes longer than solving their relaxations; the readable
form of the same models is in :mod:`baselines.uam_fleet.hindsight`, and a test compares them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from or_envs.extras import MissingExtraError


@dataclasses.dataclass(frozen=True)
class Program:
    """Minimise ``cost x`` over ``lower <= matrix x <= upper`` and 0 <= x <= ``limit``.

    Attributes
    ----------
    cost, limit
        Of the columns.
    matrix
        scipy.sparse matrix, by columns.
    lower, upper
        Of the rows.
    """

    cost: np.ndarray
    limit: np.ndarray
    matrix: Any
    lower: np.ndarray
    upper: np.ndarray


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What HiGHS found.

    Attributes
    ----------
    status
        "optimal" (within the gap), "time_limit" or HiGHS's own words.
    objective
        Of ``values``; ``inf`` if there are none.
    values
        Of the columns.
    duals
        Of the rows; zeros for an integer program.
    """

    status: str
    objective: float
    values: np.ndarray
    duals: np.ndarray


class Rows:
    """Collects the rows of a sparse matrix."""

    def __init__(self) -> None:
        self.count = 0
        self._rows: list[np.ndarray] = []
        self._columns: list[np.ndarray] = []
        self._values: list[np.ndarray] = []
        self._lower: list[np.ndarray] = []
        self._upper: list[np.ndarray] = []

    def add(
        self,
        lower: np.ndarray | float,
        upper: np.ndarray,
        *terms: tuple[np.ndarray, np.ndarray, np.ndarray | float],
    ) -> None:
        """Append len(upper) rows; a term is rows (from 0), columns and values of its entries."""
        for rows, columns, values in terms:
            self._rows.append(rows + self.count)
            self._columns.append(columns)
            self._values.append(np.broadcast_to(values, np.shape(rows)))
        self._lower.append(np.broadcast_to(lower, upper.shape))
        self._upper.append(upper)
        self.count += len(upper)

    def program(self, cost: np.ndarray, limit: np.ndarray) -> Program:
        """Return the program with these rows."""
        from scipy import sparse

        place = (np.concatenate(self._rows), np.concatenate(self._columns))
        values = np.concatenate(self._values)
        matrix = sparse.csc_matrix((values, place), shape=(self.count, len(cost)))
        return Program(
            cost, limit, matrix, np.concatenate(self._lower), np.concatenate(self._upper)
        )


def solve_linear(program: Program, crossover: bool = True) -> Outcome:
    """Solve by the interior point method.

    Parameters
    ----------
    crossover
        Whether to go on to a vertex. Without it duals are those of the middle of the optimal face.

    Raises
    ------
    ImportError
        If highspy is missing.
    """
    options = {"solver": "ipm", "run_crossover": "on" if crossover else "off"}
    return _run(program, None, options)


def solve_integer(
    program: Program, integer: np.ndarray, gap: float, time_limit: float, seed: int = 0
) -> Outcome:
    """Solve with the columns ``integer`` (bool) whole, to a relative gap.

    Raises
    ------
    ImportError
        If highspy is missing.
    """
    options = {"mip_rel_gap": gap, "time_limit": time_limit, "random_seed": seed}
    return _run(program, integer, options)


def _run(program: Program, integer: np.ndarray | None, options: dict[str, Any]) -> Outcome:
    try:
        import highspy
    except ModuleNotFoundError:
        raise MissingExtraError("a linear program", "highspy") from None
    given = highspy.HighsLp()
    given.num_col_, given.num_row_ = len(program.cost), len(program.upper)
    given.col_cost_, given.col_lower_ = program.cost, np.zeros(len(program.cost))
    given.col_upper_ = program.limit
    given.row_lower_, given.row_upper_ = program.lower, program.upper
    given.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    given.a_matrix_.start_ = program.matrix.indptr
    given.a_matrix_.index_ = program.matrix.indices
    given.a_matrix_.value_ = program.matrix.data
    if integer is not None:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        given.integrality_ = [kinds[whole] for whole in integer.astype(int).tolist()]
    highs = highspy.Highs()
    for option, value in {"output_flag": False, "threads": 1, **options}.items():
        highs.setOptionValue(option, value)
    highs.passModel(given)
    highs.run()
    status = highs.getModelStatus()
    words = {
        highspy.HighsModelStatus.kOptimal: "optimal",
        highspy.HighsModelStatus.kTimeLimit: "time_limit",
    }
    solution = highs.getSolution()
    found = solution.value_valid
    return Outcome(
        status=words.get(status, highs.modelStatusToString(status)),
        objective=float(highs.getInfo().objective_function_value) if found else np.inf,
        values=np.array(solution.col_value),
        duals=np.array(solution.row_dual) if solution.dual_valid else np.zeros(len(program.upper)),
    )
