"""Readers of job shop files in the forms of JSPLIB and of Taillard; errors name file and line."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np

from or_envs.job_shop.instances import JobShopInstance


def read(path: str | Path, otherwise: str = "the path of a job shop file") -> JobShopInstance:
    """Read one instance (a batch of one).

    JSPLIB's form has, after comment lines that start with "#", a line "jobs machines", then for
    each job a line of pairs "machine duration", with machines from 0. Taillard's has a line of
    names, one that starts with "jobs machines", then the blocks "Times" and "Machines", each with a
    line for each job, with machines from 1. In both every job visits every machine once.

    Parameters
    ----------
    path
        Where the file is.
    otherwise
        What could have been meant instead of a path, for the error.

    Raises
    ------
    ValueError
        If it cannot be read; the message names line, field, value and range.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"instance: expected {otherwise} or a readable file, got {str(path)!r} ({error})"
        ) from None
    return _Lines(str(path), text).instance()


class _Lines:
    """The lines of a file that hold something, with their numbers from 1."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = [
            (number, line.split())
            for number, line in enumerate(text.splitlines(), start=1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        self.next = 0

    def fail(self, number: int, message: str) -> NoReturn:
        raise ValueError(f"{self.path}: line {number}: {message}")

    def take(self, what: str) -> tuple[int, list[str]]:
        """Next line; ``what`` is what it should be."""
        if self.next == len(self.lines):
            last = self.lines[-1][0] if self.lines else 0
            self.fail(last, f"expected {what}, got the end of the file")
        self.next += 1
        return self.lines[self.next - 1]

    def whole(self, number: int, field: str, text: str, low: int, high: float) -> int:
        limits = f">= {low}" if high == np.inf else f"in [{low}, {high}]"
        try:
            value = int(text)
        except ValueError:
            self.fail(number, f"{field}: expected a whole number {limits}, got {text!r}")
        if not low <= value <= high:
            self.fail(number, f"{field}: expected a whole number {limits}, got {value}")
        return value

    def instance(self) -> JobShopInstance:
        """Parse whichever form it is."""
        taillard = any(words[0].lower() == "times" for _, words in self.lines)
        if taillard and self.lines[0][1][0].isalpha():
            self.next = 1  # names of the numbers that follow
        number, words = self.take("a line 'jobs machines'")
        if len(words) < 2 or (len(words) > 2 and not taillard):
            self.fail(number, f"expected 'jobs machines', got {' '.join(words)!r}")
        jobs, machines = (
            self.whole(number, field, word, 1, np.inf)
            for field, word in zip(("jobs", "machines"), words[:2], strict=True)
        )
        if taillard:
            times = self.block("Times", "duration", jobs, machines, 0, np.inf)
            routes = self.block("Machines", "machine", jobs, machines, 1, machines)
            routes = [(line, [m - 1 for m in route]) for line, route in routes]
        else:
            times, routes = [], []
            for job in range(jobs):
                line, words = self.take(f"job {job}")
                if len(words) != 2 * machines:
                    self.fail(
                        line,
                        f"job {job}: expected {machines} pairs 'machine duration', got"
                        f" {len(words)} numbers",
                    )
                last = machines - 1
                route = [self.whole(line, "machine", word, 0, last) for word in words[::2]]
                durations = [self.whole(line, "duration", word, 0, np.inf) for word in words[1::2]]
                routes.append((line, route))
                times.append((line, durations))
        if self.next < len(self.lines):
            line, words = self.lines[self.next]
            self.fail(line, f"expected the end after {jobs} jobs, got {' '.join(words)!r:.60}")
        for job, (line, route) in enumerate(routes):
            if len(set(route)) < machines:
                twice = next(m for place, m in enumerate(route) if m in route[:place])
                self.fail(line, f"job {job}: machine {twice + taillard} occurs twice")
        return JobShopInstance.of([route for _, route in routes], [time for _, time in times])

    def block(
        self, title: str, field: str, jobs: int, machines: int, low: int, high: float
    ) -> list[tuple[int, list[int]]]:
        """One of Taillard's two blocks: a line for each job."""
        number, words = self.take(repr(title))
        if [word.lower() for word in words] != [title.lower()]:
            self.fail(number, f"expected {title!r}, got {' '.join(words)!r:.60}")
        rows = []
        for job in range(jobs):
            number, words = self.take(f"{title}: job {job}")
            if len(words) != machines:
                self.fail(
                    number, f"{title}: job {job}: expected {machines} numbers, got {len(words)}"
                )
            rows.append((number, [self.whole(number, field, w, low, high) for w in words]))
        return rows
