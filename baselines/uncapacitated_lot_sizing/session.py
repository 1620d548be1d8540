"""HiGHS without presolve."""

from __future__ import annotations

from typing import Any

from baselines.common.milp import HighsSession


class UnpresolvedSession(HighsSession):
    """A session whose optima can be relied on with HiGHS 1.14.0.

    Presolve of that release cuts optima off lot-sizing models and still reports "optimal" (see
    its issues 2995, 3043 and 3094); 1.13.1 does not.
    """

    def __init__(self, model: Any, mip_rel_gap: float = 0.0, seed: int = 0) -> None:
        super().__init__(model, mip_rel_gap, seed)
        self._solver.highs_options = {**self._solver.highs_options, "presolve": "off"}
