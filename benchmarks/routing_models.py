"""Make the routing and knapsack models: labels, training, gaps.

``python -m benchmarks.routing_models TSP-20 CVRP-20`` makes the models of these names, each in a
folder of ``--output``; what is there already is not made again. Those of ``small`` come with the
package; each takes about 25 minutes on two cores, labels included. Those of ``large`` are for a GPU
(``--device cuda``), with labels from all cores before.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import construction_gaps, labels, recipes


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """Solved instances: options of the environment, solver, its settings, how many.

    Attributes
    ----------
    time_limit
        Seconds of the solver per instance.
    seed
        Of the first instance.
    """

    env_kwargs: dict[str, Any]
    solver: str
    settings: dict[str, Any]
    num: int
    time_limit: float | None = None
    seed: int = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class Model:
    """How a model is made and judged.

    Attributes
    ----------
    env_id, env_kwargs
        Where it is trained.
    labels
        What it imitates.
    timesteps, hyperparams
        Of the training.
    test_kwargs, reference, decoders
        Instances, solver and searches of the table of gaps.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    labels: tuple[LabelSet, ...]
    timesteps: int
    test_kwargs: dict[str, Any]
    reference: str
    decoders: tuple[str, ...]
    hyperparams: dict[str, Any] = dataclasses.field(default_factory=dict)


_KOOL = {"instance": "kool"}
_SEARCH, _HGS = "routing/iterated_local_search", "routing/hybrid_genetic"
#: A small population of HGS: 0.1 % longer on 20 customers, in a fifth of the time.
_QUICK = {"population": 2, "generation": 4}
#: Width and depth of the large models.
_LARGE_POLICY = {
    **{"dim": 192, "heads": 8, "layers": 9, "feed_forward": 512},
    **{"precision": "bfloat16", "compiled": True, "penalty": "squared"},
    # With a rate of 0.003 and without decay, training on TSP100 diverged.
    **{"optimizer": "muon", "optimizer_kwargs": {"decay": 0.1}},
}
#: And batches that fill a GPU.
_LARGE = {
    **{"tokens": 200_000, "learning_rate": 0.001, "warm_up": 500, "dev_every": 3000},
    "policy_kwargs": _LARGE_POLICY,
}
#: Half precision is a third faster on two cores as well.
_HALF_PRECISION = {"precision": "bfloat16"}
_HALF = {"policy_kwargs": _HALF_PRECISION}
_MUON = {**_HALF_PRECISION, "optimizer": "muon"}


def _tsp(size: int, *sets: LabelSet, timesteps: int, **hyperparams: Any) -> Model:
    decoders = ("greedy", "starts:20", "beam:16", "reconstruct:100")
    return Model(
        "or_envs/TSP-v0",
        {"num_cities": size},
        sets,
        timesteps,
        _KOOL,
        _SEARCH,
        decoders,
        {**_HALF, **hyperparams},
    )


SMALL: dict[str, Model] = {
    "TSP-20": _tsp(
        20, LabelSet({"num_cities": 20}, _SEARCH, {"iterations": 8}, 100_000), timesteps=2_200_000
    ),
    "TSP-20-own": _tsp(
        20,
        LabelSet({"num_cities": 20}, "routing/random_two_opt", {}, 30_000),
        timesteps=1_600_000,
        improve_every=600,
        improve_iterations=2,
    ),
    "TSP-50": _tsp(
        50,
        LabelSet({"num_cities": 50}, _SEARCH, {"iterations": 12}, 60_000),
        timesteps=2_700_000,
        learning_rate=0.002,
        adjacency=4.0,
        reinforce=0.185,
        groups=32,
        policy_kwargs=_MUON,
    ),
    "CVRP-20": Model(
        "or_envs/CVRP-v0",
        {"num_customers": 20},
        (LabelSet({"num_customers": 20}, _HGS, {**_QUICK, "iterations": 30}, 80_000),),
        5_800_000,
        _KOOL,
        _HGS,
        ("greedy", "beam:16"),
        {"policy_kwargs": _MUON, "learning_rate": 0.002, "reinforce": 0.125},
    ),
    "ATSP-20": Model(
        "or_envs/ATSP-v0",
        {"num_cities": 20},
        (LabelSet({"num_cities": 20}, "routing/asymmetric_search", {"iterations": 4}, 60_000),),
        4_200_000,
        {},
        "routing/asymmetric_search",
        ("greedy", "beam:16"),
        _HALF,
    ),
    "Orienteering-20": Model(
        "or_envs/Orienteering-v0",
        {"num_customers": 20},
        (
            LabelSet(
                {"num_customers": 20}, "routing/orienteering_search", {"iterations": 300}, 80_000
            ),
        ),
        2_400_000,
        _KOOL,
        "routing/orienteering_search",
        ("greedy", "beam:16"),
        {
            "policy_kwargs": {"dim": 96, "layers": 6, "feed_forward": 192, **_MUON},
            **{"learning_rate": 0.002, "membership": 1.0, "reinforce": 0.09},
        },
    ),
    "Knapsack-100": Model(
        "or_envs/Knapsack-v0",
        {"num_items": 100, "family": "integers"},
        tuple(
            LabelSet(
                {"num_items": 100, "family": family}, "knapsack/dynamic_programming", {}, 20_000
            )
            for family in ("integers", "strongly_correlated")
        ),
        110_000,
        {},
        "knapsack/dynamic_programming",
        ("greedy", "beam:16"),
        {"dev_every": 200},
    ),
}


def _near_optimal(
    num: int, size: int = 100, kind: str = "uniform", seed: int = 1_000_000_000
) -> LabelSet:
    limit = 0.015 if size == 100 else 0.06
    options = {"num_cities": size, "instance": kind}
    return LabelSet(options, "routing/fast_tsp", {}, num, limit, seed)


_NEAR = {**_MUON, "layers": 4, "penalty": "squared", "neighbours": 50}
_OTHERS = (_near_optimal(6_000, size=250), _near_optimal(30_000, kind="clustered"))
_FOR_DOUBT = (
    _near_optimal(30_000),
    _near_optimal(30_000, seed=1_500_000_000),
    _near_optimal(4_000, size=250),
    _near_optimal(20_000, kind="clustered"),
)
LARGE: dict[str, Model] = {
    "TSP-100": _tsp(
        100,
        # Three of five updates draw from uniform instances of 100 cities.
        _near_optimal(40_000),
        _near_optimal(40_000, seed=1_000_040_000),
        _near_optimal(40_000, seed=1_500_000_000),
        *_OTHERS,
        # Half an hour on an H100, by the speed of a shorter run.
        timesteps=220_000_000,
        adjacency=4.0,
        largest=128,
        **_LARGE,
    ),
    # For all sizes: it looks at the nearest cities only. 47 minutes of training on two cores.
    "TSP-near": _tsp(
        100,
        _near_optimal(80_000),
        _near_optimal(40_000, seed=1_500_000_000),
        *_OTHERS,
        timesteps=2_200_000,
        learning_rate=0.002,
        adjacency=4.0,
        dev_every=2000,
        dev_instances=128,
        reinforce=0.15,
        groups=16,
        policy_kwargs=_NEAR,
    ),
    # The same with what the relaxation by 1-trees says; about an hour of training on two cores.
    "TSP-doubt": _tsp(
        100,
        *_FOR_DOUBT,
        timesteps=3_000_000,
        tokens=15_000,
        learning_rate=0.002,
        adjacency=4.0,
        dev_every=1500,
        dev_instances=256,
        policy_kwargs={**_NEAR, "layers": 6, "trees": 100},
    ),
    # For a GPU whose machine has 16 cores, which relax while it waits: half an hour of an H100, as
    # far as the speed of the parts tells.
    "TSP-doubt-large": _tsp(
        100,
        *_FOR_DOUBT,
        timesteps=35_000_000,
        adjacency=4.0,
        **{
            **_LARGE,
            "tokens": 100_000,
            "policy_kwargs": {**_LARGE_POLICY, "neighbours": 50, "trees": 100},
        },
    ),
    "CVRP-100": Model(
        "or_envs/CVRP-v0",
        {"num_customers": 100},
        tuple(
            LabelSet({"num_customers": size}, _HGS, settings, num)
            for size, settings, num in (
                (100, {"population": 4, "generation": 8, "iterations": 200}, 6_000),
                (50, {**_QUICK, "iterations": 100}, 10_000),
            )
        ),
        40_000_000,
        _KOOL,
        _HGS,
        ("greedy", "beam:16"),
        {**_LARGE, "reinforce": 0.3, "groups": 256},
    ),
}
MODELS = SMALL | LARGE


def make(name: str, folder: Path, workers: int, device: str, fraction: float) -> Path:
    """Make one model, in ``folder``/model; returns the table of its gaps."""
    model = MODELS[name]
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, part in enumerate(model.labels):
        path = folder / f"labels-{number}.npz"
        files.append(str(path))
        if not path.is_file():
            labels.main(
                [
                    *("--env", model.env_id, "--env-kwargs", *recipes.pairs(part.env_kwargs)),
                    *("--solver", part.solver, *_option("--solver-kwargs", part.settings)),
                    *([] if part.time_limit is None else ["--time-limit", str(part.time_limit)]),
                    *("--num", str(max(int(part.num * fraction), 20)), "--seed", str(part.seed)),
                    *("--workers", str(workers), "--output", str(path)),
                ]
            )
    trained = recipes.train(
        "bq_nco",
        model.env_id,
        model.env_kwargs,
        max(int(model.timesteps * fraction), 1000),
        {**model.hyperparams, "labels": files},
        folder / "run",
        device,
        processes=workers if device == "cpu" else 1,
    )
    model_folder = folder / "model"
    shutil.copytree(trained, model_folder, dirs_exist_ok=True)
    table = folder / "gaps.csv"
    recipes.write_table(
        table,
        construction_gaps.main,
        [
            *(str(model_folder), *_option("--env-kwargs", model.test_kwargs)),
            *("--num", str(max(int(1000 * fraction), 4))),
            *("--reference", model.reference, "--decoders", *model.decoders),
            *("--device", device),
        ],
    )
    return table


def _option(flag: str, options: dict[str, Any]) -> list[str]:
    return [flag, *recipes.pairs(options)] if options else []


def main(arguments: Sequence[str] | None = None) -> None:
    """Make models and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help=f"small, large, or of {', '.join(MODELS)}")
    parser.add_argument("--output", type=Path, default=Path("runs/routing"))
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="processes for labels, and on CPUs for training",
    )
    parser.add_argument("--device", default="cpu", help="of torch, for training")
    parser.add_argument("--fraction", type=float, default=1.0, help="of everything, to try it out")
    args = parser.parse_args(arguments)
    names: list[str] = []
    for name in args.names:
        group = {"small": SMALL, "large": LARGE}.get(name)
        if group is None and name not in MODELS:
            parser.error(f"names: expected small, large, or of {', '.join(MODELS)}, got {name!r}")
        names += list(group) if group is not None else [name]
    for name in names:
        table = make(name, args.output / name, args.workers, args.device, args.fraction)
        print(f"{name}\n{table.read_text()}")


if __name__ == "__main__":
    main()
