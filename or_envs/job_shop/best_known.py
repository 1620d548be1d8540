"""Best known makespans of the published instances, to compare with."""

from __future__ import annotations

import dataclasses
import functools
import json
from importlib import resources

from or_envs.job_shop.instances import NAMES


@dataclasses.dataclass(frozen=True)
class BestKnown:
    """What is known of an optimal makespan, without shutdowns.

    Attributes
    ----------
    makespan
        Of the best schedule known, time units.
    bound
        No schedule is shorter; ``None`` if no bound is recorded.
    """

    makespan: int
    bound: int | None

    @property
    def optimal(self) -> bool:
        """Whether the makespan is proved optimal."""
        return self.makespan == self.bound


def best_known(name: str, blocking: str = "none") -> BestKnown | None:
    """Return what is known of a published instance, ``None`` if nothing is.

    The sources (some open bounds in them are old):

    - blocking "none": instances.json of the repository wsgisler/job-shop-scheduling.
    - "swap": the better of the two engines in benchmarks/blocking-jobshop/results (CPO-4W.csv,
      Optal-4W-2FDS.csv; 4 threads, 1800 s) of ScheduleOpt/optalcp-benchmarks, and of
      wsgisler/job-shop-scheduling (benchmarking_results/*.xlsx).
    - "no_swap": own runs of CP-SAT 9.15, one worker, 60 s.

    Raises
    ------
    ValueError
        If there is no such instance or mode.
    """
    if name not in NAMES:
        raise ValueError(f"name: expected a published instance such as 'LA01', got {name!r}")
    if blocking not in ("none", "swap", "no_swap"):
        raise ValueError(f"blocking: expected 'none', 'swap' or 'no_swap', got {blocking!r}")
    entry = _table()[name].get(blocking)
    return None if entry is None else BestKnown(*entry)


@functools.cache
def _table() -> dict[str, dict[str, tuple[int, int | None]]]:
    text = resources.files("or_envs.job_shop").joinpath("data/best_known.json").read_text("utf-8")
    table: dict[str, dict[str, tuple[int, int | None]]] = json.loads(text)
    return table
