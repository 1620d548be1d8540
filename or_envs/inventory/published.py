"""Numbers of the instances that arXiv 2306.11246's code draws, and its network topologies."""

from __future__ import annotations

import dataclasses

import numpy as np

#: Seeds of numpy's legacy generator, one for each kind of number.
_SEEDS = {"mean": 33, "variation": 92, "holding": 73, "shortage": 28, "lead_time": 41}

#: Holding cost and purchase cost of the warehouses of networks with several.
WAREHOUSE_HOLDING = (0.3, 0.4, 0.2, 0.5, 0.1, 0.6)
PURCHASE_COST = (0.5, 1.5, 0.7, 1.3, 0.9, 1.1)

#: A code for every store, a digit for every warehouse: lead time from there, 0 = no connection.
TOPOLOGIES = {
    "2x10": "02 01 62 62 61 02 60 52 62 02",
    "3x20": ("025 020 625 626 626 026 010 506 626 016 624 526 020 625 016 605 006 025 606 020"),
    "4x30": (
        "6200 6060 5200 5203 0200 5260 5203 6250 0060 5003 6100 5203 5000 0200 6002 6002 0003 0100"
        " 6100 6100 6260 6200 6000 0100 0002 6100 6002 0100 5203 6203"
    ),
    "5x40": (
        "00630 00025 00034 00500 01600 02000 02005 62605 00500 62630 00530 52035 00620 00630 62635"
        " 00400 01000 00004 02005 02600 01000 00034 01000 61600 00600 00500 62600 00015 02500 00025"
        " 02000 61005 02500 00625 00034 61000 62005 61600 00033 62034"
    ),
    "6x50": (
        "000100 000040 000100 600300 605004 600000 026003 000003 000003 600000 010003 010003"
        " 020054 020354 600300 600000 606004 000350 500000 605004 005000 000050 606000 606000"
        " 006004 604004 026003 000040 006003 000050 006004 500000 500000 020350 000340 605004"
        " 006002 605004 000004 020003 600000 010003 020044 005004 006002 000200 000200 010003"
        " 600000 026002"
    ),
}

#: The same for the 21 stores of the retail data, by the number of warehouses.
RETAIL_TOPOLOGIES = {
    2: "61 61 61 01 61 50 52 52 51 52 52 50 52 50 01 61 61 61 61 51 52",
    3: ("615 615 615 015 614 506 525 525 515 525 505 500 505 506 015 615 615 615 615 514 525"),
    4: (
        "0150 0150 0150 0150 6140 5000 5052 5052 5052 5052 5001 0001 5051 5001 0150 0150 0150 0150"
        " 0150 6140 5051"
    ),
    5: (
        "01500 01500 01500 01500 61400 50000 50504 50524 50504 50524 50013 00014 50513 50014 01500"
        " 01500 01500 01500 01500 61404 50514"
    ),
}


@dataclasses.dataclass(frozen=True)
class Stores:
    """Data of n stores, each (n,): demand mean and deviation, costs per unit."""

    mean: np.ndarray
    std: np.ndarray
    holding: np.ndarray
    shortage: np.ndarray


def _generator(kind: str) -> np.random.RandomState:
    return np.random.RandomState(_SEEDS[kind])


def stores(num: int) -> Stores:
    """Return the stores of the published instance with ``num`` stores."""
    mean = _generator("mean").uniform(2.5, 7.5, num).round(3)
    variation = _generator("variation").uniform(0.25, 0.5, num)
    return Stores(
        mean=mean,
        std=(mean * variation).round(3),
        holding=_generator("holding").uniform(0.7, 1.3, num),
        shortage=_generator("shortage").uniform(6.3, 11.7, num),
    )


def lead_times(num: int, longest: int) -> np.ndarray:
    """Lead times of stores, 2..``longest``, (num,): 3 in the published code, 5 in its last runs."""
    return _generator("lead_time").randint(2, longest + 1, num)


def edges_of(topology: str) -> list[tuple[int, int, int]]:
    """(warehouse, store, lead time) of every connection of a topology."""
    return [
        (warehouse, store, int(digit))
        for store, code in enumerate(topology.split())
        for warehouse, digit in enumerate(code)
        if digit != "0"
    ]


def price_of_products(num: int) -> np.ndarray:
    """Prices of retail products, U[6.3, 11.7], (num,)."""
    return _generator("shortage").uniform(6.3, 11.7, num)
