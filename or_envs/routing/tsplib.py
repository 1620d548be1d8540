"""Readers of TSPLIB files and their relatives: TSP, ATSP, CVRPLIB, OPLib.

All distance rules are those of Reinelt (1995): whole numbers. Errors name file, line and field.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from or_envs.routing.atsp import ATSPInstance
from or_envs.routing.cvrp import CVRPInstance
from or_envs.routing.orienteering import OrienteeringInstance
from or_envs.routing.tsp import TSPInstance

#: TSPLIB's pi, and its radius of the earth in km.
_PI, _RADIUS = 3.141592, 6378.388


def _euc_2d(xy: np.ndarray) -> np.ndarray:
    return np.floor(_straight(xy) + 0.5)


def _ceil_2d(xy: np.ndarray) -> np.ndarray:
    return np.ceil(_straight(xy))


def _att(xy: np.ndarray) -> np.ndarray:
    difference = xy[:, None, :] - xy[None, :, :]
    root = np.sqrt((difference**2).sum(axis=2) / 10.0)
    nearest = np.floor(root + 0.5)
    return np.where(nearest < root, nearest + 1, nearest)


def _geo(xy: np.ndarray) -> np.ndarray:
    degrees = np.trunc(xy)
    radians = _PI * (degrees + 5.0 * (xy - degrees) / 3.0) / 180.0
    latitude, longitude = radians[:, 0], radians[:, 1]
    q1 = np.cos(longitude[:, None] - longitude[None, :])
    q2 = np.cos(latitude[:, None] - latitude[None, :])
    q3 = np.cos(latitude[:, None] + latitude[None, :])
    angle = np.arccos(np.clip(0.5 * ((1 + q1) * q2 - (1 - q1) * q3), -1.0, 1.0))
    distances = np.trunc(_RADIUS * angle + 1.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def _straight(xy: np.ndarray) -> np.ndarray:
    difference = xy[:, None, :] - xy[None, :, :]
    return np.asarray(np.sqrt((difference**2).sum(axis=2)))


#: EDGE_WEIGHT_TYPE -> coordinates (N, 2) -> distances (N, N).
RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "EUC_2D": _euc_2d,
    "CEIL_2D": _ceil_2d,
    "ATT": _att,
    "GEO": _geo,
}
#: EDGE_WEIGHT_FORMAT of symmetric matrices -> entries (row, column) in the order of the file.
TRIANGLES: dict[str, Callable[[int], list[tuple[int, int]]]] = {
    "UPPER_ROW": lambda n: [(i, j) for i in range(n) for j in range(i + 1, n)],
    "LOWER_ROW": lambda n: [(i, j) for i in range(n) for j in range(i)],
    "UPPER_DIAG_ROW": lambda n: [(i, j) for i in range(n) for j in range(i, n)],
    "LOWER_DIAG_ROW": lambda n: [(i, j) for i in range(n) for j in range(i + 1)],
    "UPPER_COL": lambda n: [(i, j) for j in range(n) for i in range(j)],
    "LOWER_COL": lambda n: [(i, j) for j in range(n) for i in range(j + 1, n)],
    "UPPER_DIAG_COL": lambda n: [(i, j) for j in range(n) for i in range(j + 1)],
    "LOWER_DIAG_COL": lambda n: [(i, j) for j in range(n) for i in range(j, n)],
}


@dataclasses.dataclass(frozen=True)
class File:
    """Contents of a file: fields and sections, with the lines where they are (from 1).

    Attributes
    ----------
    path
        Where it was read.
    fields
        "KEY : value" lines, key -> (value, line).
    sections
        Section name -> (line of its name, [(token, line), ...]).
    """

    path: Path
    fields: dict[str, tuple[str, int]]
    sections: dict[str, tuple[int, list[tuple[str, int]]]]

    @classmethod
    def read(cls, path: str | Path, otherwise: str) -> File:
        """Parse a file.

        Parameters
        ----------
        path
            Where it is.
        otherwise
            What could have been meant instead of a path, for the error.

        Raises
        ------
        ValueError
            If it cannot be read, or a line is neither a field nor part of a section.
        """
        path = Path(path)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"instance: expected {otherwise} or a readable file, got {str(path)!r} ({error})"
            ) from None
        fields: dict[str, tuple[str, int]] = {}
        sections: dict[str, tuple[int, list[tuple[str, int]]]] = {}
        tokens: list[tuple[str, int]] | None = None
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if text == "EOF":
                break
            key, colon, value = (part.strip() for part in text.partition(":"))
            if key.endswith("_SECTION"):
                tokens = []
                sections[key] = (number, tokens)
            elif text and (text[0].isalpha() or colon):
                if not colon:
                    raise ValueError(f"{path}: line {number}: expected 'KEY : value', got {text!r}")
                fields[key] = (value, number)
                tokens = None
            elif text:
                if tokens is None:
                    raise ValueError(f"{path}: line {number}: {text!r} is in no section")
                tokens += [(token, number) for token in text.split()]
        return cls(path, fields, sections)

    def error(self, line: int, message: str) -> ValueError:
        """Return an error that names file and line."""
        return ValueError(f"{self.path}: line {line}: {message}")

    def field(self, key: str) -> tuple[str, int]:
        """Value and line of a field that must be there."""
        if key not in self.fields:
            raise ValueError(f"{self.path}: field {key} is missing")
        return self.fields[key]

    def number(self, key: str, least: float) -> float:
        """Value of a field that is a number of at least ``least``."""
        text, line = self.field(key)
        value = self._to_number(text, line, key)
        if value < least:
            raise self.error(line, f"{key}: expected a number >= {least:g}, got {text}")
        return value

    @property
    def dimension(self) -> int:
        """Number of nodes."""
        value = self.number("DIMENSION", 2)
        if value != int(value):
            _, line = self.field("DIMENSION")
            raise self.error(line, f"DIMENSION: expected a whole number, got {value}")
        return int(value)

    def expect_type(self, *allowed: str) -> None:
        """Refuse another TYPE."""
        text, line = self.field("TYPE")
        if text.split()[:1] not in [[word] for word in allowed]:
            raise self.error(line, f"TYPE: expected {' or '.join(allowed)}, got {text!r}")

    def numbers(self, section: str, count: int) -> tuple[np.ndarray, list[int]]:
        """All numbers of a section, ``count`` of them, and their lines."""
        if section not in self.sections:
            raise ValueError(f"{self.path}: {section} is missing")
        start, tokens = self.sections[section]
        if len(tokens) != count:
            line = tokens[-1][1] if tokens else start
            raise self.error(
                line,
                f"{section}: expected {count} numbers for DIMENSION {self.dimension},"
                f" got {len(tokens)}",
            )
        values = [self._to_number(token, line, section) for token, line in tokens]
        return np.array(values), [line for _, line in tokens]

    def table(self, section: str, columns: int) -> tuple[np.ndarray, list[int]]:
        """Rows of node number and ``columns`` numbers, in the order 1, 2, ..., and their lines."""
        size = self.dimension
        values, lines = self.numbers(section, size * (columns + 1))
        rows = values.reshape(size, columns + 1)
        lines = lines[:: columns + 1]
        for place, (number, line) in enumerate(zip(rows[:, 0], lines, strict=True), start=1):
            if number != place:
                raise self.error(line, f"{section}: expected node {place}, got {number:g}")
        return rows[:, 1:], lines

    def _to_number(self, text: str, line: int, where: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(line, f"{where}: expected a finite number, got {text!r}")
        return value

    # ---- distances --------------------------------------------------------------------------

    def geometry(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (N, 2) and distances (N, N) by the file's rule.

        Where a file has distances only, coordinates are an embedding of them (classical
        multidimensional scaling) to look at.
        """
        rule, line = self.field("EDGE_WEIGHT_TYPE")
        if rule == "EXPLICIT":
            distances = self._explicit()
            if "NODE_COORD_SECTION" in self.sections:
                return self.table("NODE_COORD_SECTION", 2)[0], distances
            if "DISPLAY_DATA_SECTION" in self.sections:
                return self.table("DISPLAY_DATA_SECTION", 2)[0], distances
            return embedding(distances), distances
        if rule not in RULES:
            allowed = ", ".join([*RULES, "EXPLICIT"])
            raise self.error(line, f"EDGE_WEIGHT_TYPE: expected one of {allowed}, got {rule!r}")
        coordinates, _ = self.table("NODE_COORD_SECTION", 2)
        return coordinates, RULES[rule](coordinates)

    def _explicit(self) -> np.ndarray:
        form, line = self.field("EDGE_WEIGHT_FORMAT")
        size = self.dimension
        if form == "FULL_MATRIX":
            values, lines = self.numbers("EDGE_WEIGHT_SECTION", size * size)
            distances = values.reshape(size, size)
        elif form in TRIANGLES:
            places = TRIANGLES[form](size)
            values, lines = self.numbers("EDGE_WEIGHT_SECTION", len(places))
            rows, columns = np.array(places).T
            distances = np.zeros((size, size))
            distances[rows, columns] = distances[columns, rows] = values
        else:
            allowed = ", ".join(["FULL_MATRIX", *TRIANGLES])
            raise self.error(line, f"EDGE_WEIGHT_FORMAT: expected one of {allowed}, got {form!r}")
        if (values < 0).any():
            worst = int(np.flatnonzero(values < 0)[0])
            raise self.error(
                lines[worst], f"EDGE_WEIGHT_SECTION: expected >= 0, got {values[worst]:g}"
            )
        distances = distances.copy()
        np.fill_diagonal(distances, 0.0)  # files have large numbers there
        return distances

    def depot(self) -> int:
        """Number of the only depot, from 0."""
        if "DEPOT_SECTION" not in self.sections:
            raise ValueError(f"{self.path}: DEPOT_SECTION is missing")
        start, tokens = self.sections["DEPOT_SECTION"]
        numbers = [self._to_number(token, line, "DEPOT_SECTION") for token, line in tokens]
        if len(numbers) != 2 or numbers[1] != -1 or not 1 <= numbers[0] <= self.dimension:
            raise self.error(
                start, f"DEPOT_SECTION: expected one node and -1, got {[t for t, _ in tokens]}"
            )
        return int(numbers[0]) - 1


def embedding(distances: np.ndarray) -> np.ndarray:
    """Points (N, 2) whose Euclidean distances come near ``distances`` (classical scaling)."""
    size = len(distances)
    centre = np.eye(size) - 1.0 / size
    gram = -0.5 * centre @ (((distances + distances.T) / 2) ** 2) @ centre
    values, vectors = np.linalg.eigh(gram)
    return np.asarray(vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0.0)))


def read_tsp(path: str | Path, otherwise: str = "a TSPLIB file") -> TSPInstance:
    """Read a symmetric TSP (a batch of one).

    Raises
    ------
    ValueError
        If the file is malformed; the message names file, line and field.
    """
    file = File.read(path, otherwise)
    file.expect_type("TSP")
    coordinates, distances = file.geometry()
    uneven = distances != distances.T
    if uneven.any():
        i, j = (int(k) + 1 for k in np.argwhere(uneven)[0])
        line, _ = file.sections["EDGE_WEIGHT_SECTION"]
        raise file.error(line, f"EDGE_WEIGHT_SECTION: {i} to {j} is not as far as {j} to {i}")
    return TSPInstance(coordinates[None], distances[None])


def read_atsp(path: str | Path, otherwise: str = "a TSPLIB file") -> ATSPInstance:
    """Read an asymmetric TSP (a batch of one).

    Raises
    ------
    ValueError
        If the file is malformed; the message names file, line and field.
    """
    file = File.read(path, otherwise)
    file.expect_type("ATSP", "TSP")
    return ATSPInstance(file.geometry()[1][None])


def read_cvrp(path: str | Path, otherwise: str = "a CVRPLIB file") -> CVRPInstance:
    """Read a CVRP (a batch of one); the depot becomes node 0, customers keep their order.

    Raises
    ------
    ValueError
        If the file is malformed, or a customer's demand is above the capacity; the message names
        file, line and field.
    """
    file = File.read(path, otherwise)
    file.expect_type("CVRP")
    capacity = file.number("CAPACITY", 1)
    coordinates, distances = file.geometry()
    demand, lines = file.table("DEMAND_SECTION", 1)
    depot = file.depot()
    for node, (units, line) in enumerate(zip(demand[:, 0], lines, strict=True)):
        if node == depot and units != 0:
            raise file.error(line, f"DEMAND_SECTION: expected 0 at the depot, got {units:g}")
        if not 0 <= units <= capacity:
            raise file.error(
                line, f"DEMAND_SECTION: expected 0..{capacity:g} (CAPACITY), got {units:g}"
            )
    order = np.argsort(np.arange(len(demand)) != depot, kind="stable")
    return CVRPInstance(
        coordinates[order][None],
        distances[np.ix_(order, order)][None],
        demand[order, 0][None],
        np.array([capacity]),
    )


def read_orienteering(path: str | Path, otherwise: str = "an OPLib file") -> OrienteeringInstance:
    """Read an orienteering problem (a batch of one); the depot becomes node 0.

    Raises
    ------
    ValueError
        If the file is malformed; the message names file, line and field.
    """
    file = File.read(path, otherwise)
    file.expect_type("OP")
    budget = file.number("COST_LIMIT", 0)
    coordinates, distances = file.geometry()
    prize, lines = file.table("NODE_SCORE_SECTION", 1)
    depot = file.depot()
    for units, line in zip(prize[:, 0], lines, strict=True):
        if units < 0:
            raise file.error(line, f"NODE_SCORE_SECTION: expected >= 0, got {units:g}")
    prize = prize.copy()
    prize[depot] = 0.0  # it is collected by nobody
    order = np.argsort(np.arange(len(prize)) != depot, kind="stable")
    return OrienteeringInstance(
        coordinates[order][None],
        distances[np.ix_(order, order)][None],
        prize[order, 0][None],
        np.array([budget]),
    )
