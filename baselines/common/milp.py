"""The one place where pyomo meets HiGHS."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

from or_envs.extras import MissingExtraError


@dataclasses.dataclass(frozen=True)
class MilpResult:
    """Outcome of one solve of a minimisation model.

    Attributes
    ----------
    status
        "optimal" (within ``mip_rel_gap``), "time_limit", "node_limit" or "infeasible"; otherwise
        pyomo's name of the termination condition.
    objective
        Objective of the incumbent, whose values are in the model's variables; ``inf`` if there
        is none.
    bound
        Dual bound; ``None`` if there is none.
    seconds
        Wall-clock time of the solve, the update of the model's data included.
    """

    status: str
    objective: float
    bound: float | None
    seconds: float

    @property
    def feasible(self) -> bool:
        """Whether the model's variables hold a feasible solution."""
        return math.isfinite(self.objective)


def import_pyomo() -> Any:
    """Return ``pyomo.environ``.

    Raises
    ------
    ImportError
        If pyomo or highspy is missing; the message names the extra.
    """
    try:
        import highspy  # noqa: F401
        import pyomo.environ as pyo
    except ModuleNotFoundError as error:
        raise MissingExtraError("mixed-integer programming", error.name or "pyomo") from None
    return pyo


class HighsSession:
    """A pyomo model kept inside HiGHS: built once, solved again whenever its data change.

    Between solves only values of mutable parameters and fixed variables may change; variables
    and constraints may not be added or removed. APPSI is used because it alone of pyomo's
    interfaces to HiGHS passes starting solutions on.

    Parameters
    ----------
    model
        A ``ConcreteModel`` with a minimisation objective.
    mip_rel_gap
        Relative gap at which the incumbent counts as optimal. HiGHS's own default, 1e-4, returns
        plans that are not optimal, so the default here is 0.
    seed
        HiGHS's ``random_seed``.
    """

    def __init__(self, model: Any, mip_rel_gap: float = 0.0, seed: int = 0) -> None:
        import_pyomo()
        from pyomo.contrib.appsi.solvers import Highs

        self.model = model
        self._solver = Highs()
        self._solver.config.load_solution = False
        self._solver.highs_options = {
            "threads": 1,
            "random_seed": seed,
            "mip_rel_gap": mip_rel_gap,
            # With the default, 1e-6, objectives are off by 1e-6 times a cost coefficient.
            "mip_feasibility_tolerance": 1e-9,
            "primal_feasibility_tolerance": 1e-9,
        }
        updates = self._solver.update_config
        updates.check_for_new_or_removed_constraints = False
        updates.check_for_new_or_removed_vars = False
        updates.check_for_new_or_removed_params = False
        updates.check_for_new_objective = False
        updates.update_constraints = False
        # Fixing a variable changes its bounds; as a parameter it would rebuild its constraints.
        updates.treat_fixed_vars_as_params = False
        updates.update_named_expressions = False
        updates.update_objective = False

    def solve(
        self,
        time_limit: float | None = None,
        warm_start: bool = False,
        node_limit: int | None = None,
    ) -> MilpResult:
        """Solve; on a limit the incumbent is loaded and its dual bound reported.

        Parameters
        ----------
        time_limit
            Seconds of HiGHS; ``None`` is no limit.
        warm_start
            Start from the values that the model's variables have now. Otherwise they are not
            looked at, so that a solve does not depend on the one before.
        node_limit
            Nodes of branch and bound; ``None`` is no limit. Unlike a time limit it gives the same
            answer on every machine.
        """
        start = time.perf_counter()
        # HiGHS keeps options between solves, so "no limit" has to be said.
        self._solver.highs_options["time_limit"] = math.inf if time_limit is None else time_limit
        self._solver.highs_options["mip_max_nodes"] = (
            _NO_NODE_LIMIT if node_limit is None else node_limit
        )
        self._solver.config.warmstart = warm_start
        results = self._solver.solve(self.model)
        objective = math.inf
        if results.best_feasible_objective is not None:
            results.solution_loader.load_vars()
            objective = float(results.best_feasible_objective)
        bound = results.best_objective_bound
        condition = results.termination_condition.name
        return MilpResult(
            status=_STATUS.get(condition, condition),
            objective=objective,
            bound=float(bound) if bound is not None and math.isfinite(bound) else None,
            seconds=time.perf_counter() - start,
        )


#: HiGHS's largest integer.
_NO_NODE_LIMIT = 2**31 - 1

_STATUS = {"maxTimeLimit": "time_limit", "maxIterations": "node_limit"}
