"""What tuning may choose for an agent: ``hyperparameters/spaces/ALGO.yml``.

Sections are those of a hyper-parameter file: ``default``, then the id's own. A hyper-parameter has
one of the laws ``{choice: [...]}``, ``{int: [low, high]}``, ``{uniform: [low, high]}`` and
``{log_uniform: [low, high]}``, ends included; ``null`` takes back what ``default`` has.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.config import read_yaml
from benchmarks.errors import UserError
from benchmarks.hyperparameters import load, space_path

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

#: Hyper-parameter -> its law.
Space = dict[str, dict[str, list[Any]]]
_LAWS = ("choice", "int", "uniform", "log_uniform")


def load_space(algorithm: str, env_id: str) -> Space:
    """What may be drawn for an environment.

    Raises
    ------
    UserError
        If the agent has no space, or the space is damaged.
    """
    path = space_path(algorithm)
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.yml")))
        raise UserError(f"algo: expected an agent with a tuning space, {known}, got {algorithm!r}")
    sections = read_yaml(path)
    laws = {**sections["default"], **sections.get(env_id, {})}
    space = {name: law for name, law in laws.items() if law is not None}
    for name, law in space.items():
        if not isinstance(law, Mapping) or len(law) != 1 or next(iter(law)) not in _LAWS:
            raise UserError(f"{path}: {name}: expected one of {', '.join(_LAWS)}, got {law!r}")
        ((kind, values),) = law.items()
        if not isinstance(values, list) or not values:
            raise UserError(f"{path}: {name}: {kind}: expected a list, got {values!r}")
        if kind != "choice":
            _check_ends(f"{path}: {name}: {kind}", kind, values)
    return space


def _check_ends(where: str, kind: str, ends: list[Any]) -> None:
    numbers = int if kind == "int" else (int, float)
    least = 0.0 if kind == "log_uniform" else -math.inf
    if (
        len(ends) != 2
        or not all(isinstance(end, numbers) for end in ends)
        or not least < ends[0] <= ends[1] < math.inf
    ):
        numbers_ = "integers" if kind == "int" else "numbers"
        above = "0 < " if kind == "log_uniform" else ""
        raise UserError(f"{where}: expected two {numbers_} {above}low <= high, got {ends!r}")


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space as optuna has it; choices are JSON texts, which every storage can hold."""
    from optuna import distributions as laws

    found: dict[str, BaseDistribution] = {}
    for name, law in space.items():
        ((kind, values),) = law.items()
        if kind == "choice":
            found[name] = laws.CategoricalDistribution([json.dumps(value) for value in values])
        elif kind == "int":
            found[name] = laws.IntDistribution(*values)
        else:
            found[name] = laws.FloatDistribution(values[0], values[1], kind == "log_uniform")
    return found


def settings(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Hyper-parameters of what optuna drew, real numbers to four digits."""
    found: dict[str, Any] = {}
    for name, law in space.items():
        value = params[name]
        if "choice" in law:
            found[name] = json.loads(value)
        else:
            found[name] = value if "int" in law else float(f"{value:.4g}")
    return found


def own_params(
    space: Space, algorithm: str, env_id: str, fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """The hyper-parameter file's own values, or the agent's defaults, as a point of the space.

    Raises
    ------
    UserError
        If the space does not hold them.
    """
    from agents.registration import agent_class

    defaults = inspect.signature(agent_class(algorithm).__init__).parameters
    own = load(algorithm, env_id, fixed).flat()
    found: dict[str, Any] = {}
    for name, law in space.items():
        value = own[name] if name in own else defaults[name].default
        ((kind, values),) = law.items()
        inside = value in values
        if kind != "choice":
            inside = isinstance(value, int | float) and values[0] <= value <= values[1]
        if not inside:
            raise UserError(
                f"{space_path(algorithm)}: {name}: {kind}: expected a law with {env_id}'s own value"
                f" {value!r} in it, got {values!r}"
            )
        found[name] = json.dumps(values[values.index(value)]) if kind == "choice" else value
    return found
