"""What one cell of a suite leaves behind: one JSON file."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from pathlib import Path
from typing import Any, Literal

from benchmarks.errors import UserError
from benchmarks.files import write_atomically

Status = Literal["ok", "failed"]
#: What to do with a damaged record.
ADVICE = "delete this file to have its cell run again; all other results are kept"


@dataclasses.dataclass(frozen=True)
class Record:
    """Result of one cell: one contestant, one seed, all of its episodes.

    Attributes
    ----------
    hash
        Fingerprint of everything that decides the result.
    suite, env_id, instance, contestant
        Where the cell belongs.
    seed
        Seed of the contestant: training, tuning, random decisions.
    first_episode_seed
        Episode k has the instance and the trace of seed ``first_episode_seed + k``.
    kind
        "policy" or "solver".
    reference
        Whether gaps are relative to this contestant.
    learned
        Whether the contestant was trained, in its cell or before.
    sees_future
        Whether it was given the exogenous trace.
    costs
        Cost of every episode as the environment counts it; ``None`` where there is none (a solver
        without plans, or a failed cell).
    bounds
        Lower bound on the cost of every episode; ``None`` for contestants that prove none.
    train_seconds, decision_ms
        Time to build (tune, train) the contestant, and to decide once.
    detail
        What a solver says of its runs, such as "optimal 3, time limit 1".
    status, reason
        Whether the cell failed, and why.
    versions, hardware, time
        Provenance; time is UTC in ISO 8601.
    """

    hash: str
    suite: str
    env_id: str
    instance: str
    contestant: str
    seed: int
    first_episode_seed: int
    kind: str
    reference: bool
    learned: bool
    sees_future: bool
    costs: list[float] | None
    bounds: list[float] | None
    train_seconds: float | None
    decision_ms: float | None
    detail: str
    status: Status
    reason: str
    versions: dict[str, str]
    hardware: str
    time: str

    def write(self, path: Path) -> None:
        """Write the record; a kill at any time leaves no half record."""
        text = json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False)
        write_atomically(path, text + "\n")


def read(path: Path) -> Record:
    """Read a record.

    Raises
    ------
    UserError
        If the file is damaged: file, place and what to do.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: damaged at line {error.lineno} column {error.colno}: {error.msg}; {ADVICE}"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged at byte {error.start}: not UTF-8; {ADVICE}") from error
    problem = _mismatch(data)
    if problem:
        raise UserError(f"{path}: {problem}; {ADVICE}")
    return Record(**data)


def _mismatch(data: Any) -> str | None:
    """What is wrong with the decoded JSON, or ``None``."""
    if not isinstance(data, dict):
        return f"expected a JSON object, got {type(data).__name__}"
    hints = typing.get_type_hints(Record)
    for name in data.keys() - hints.keys():
        return f"unknown field {name!r}"
    for name, hint in hints.items():
        if name not in data:
            return f"field {name!r} is missing"
        if not _fits(data[name], hint):
            return f"field {name!r} has a wrong type or value ({type(data[name]).__name__})"
    if data["status"] == "ok" and data["costs"] is None and data["bounds"] is None:
        return "status 'ok', but neither costs nor bounds"
    return None


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, arguments[1]) for v in value.values())
    if arguments:  # a union
        return any(_fits(value, argument) for argument in arguments)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
