"""An agent on published instances, one by one: ``python -m benchmarks.routing_files RUN FILE ...``.

``RUN`` is a folder that ``or-bench train --algo bq_nco`` made; files are of TSPLIB, CVRPLIB or
OPLib, as the agent's environment reads them. Every solution is replayed with the distances of the
file; gaps are relative to a solver's solution.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

import or_envs
from agents.bq_nco.bq_nco import BQNCO
from agents.bq_nco.search import decoder
from benchmarks.cli import key_value
from benchmarks.construction_gaps import baseline, decode
from benchmarks.problems import build_problem
from benchmarks.training import MODEL


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per file as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a trained agent")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--reference", required=True, help="baseline that gaps refer to")
    parser.add_argument("--reference-kwargs", nargs="+", type=key_value, default=[], metavar="K:V")
    parser.add_argument("--decoders", nargs="+", default=["greedy"])
    parser.add_argument("--device", default="cpu", help="of torch, for the agent")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    env_id = yaml.safe_load((args.run / "config.yml").read_text())["env"]
    model = BQNCO.load(args.run / MODEL, device=args.device)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = [f"{name} {what}" for name in args.decoders for what in ("gap_percent", "seconds")]
    writer.writerow(("file", "nodes", args.reference, "seconds", *columns))
    for file in args.files:
        problem = build_problem(env_id, {"instance": str(file)})
        instance, _ = or_envs.sample(problem, 0, 1)
        start = time.perf_counter()
        best = baseline(args.reference, problem, instance, dict(args.reference_kwargs))[0]
        row = [file.stem, instance.coordinates.shape[1], f"{best:.6g}"]
        row.append(f"{time.perf_counter() - start:.3g}")
        for name in args.decoders:
            start = time.perf_counter()
            search = decoder(name, model.policy, problem)
            cost = decode(search, problem, instance, args.device)[0]
            row += [f"{100 * (cost - best) / abs(best):.2f}"]
            row += [f"{time.perf_counter() - start:.3g}"]
        writer.writerow(row)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
