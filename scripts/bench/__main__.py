"""Measures this engine beside others: `scripts/bench.sh --help`."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

import plot
import table
from catalogue import INKLING, RESULTS, ROOT, chosen
from runner import Results, Runner
from sections import SECTIONS


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__)
    names = [*SECTIONS, "report"]
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of {', '.join(names)} [default: all]")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only models whose name holds this")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="repetitions, in turn [default: 5]")
    parser.add_argument("--quick", action="store_true", help="two rounds of two models")
    parser.add_argument("--publish", action="store_true", help="write the tables and the picture into docs and README")
    args = parser.parse_args()
    if unknown := [name for name in args.sections if name not in names]:
        parser.error(f"{' '.join(unknown)}: choose from {' '.join(names)}")
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    return args


def machine():
    """What the figures hold for."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    field = lambda name: next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
    asked = subprocess.run([INKLING, "bench", "-p", "0", "-n", "0", "-r", "1", "--skip-cold", "--json"],
                           capture_output=True, text=True, check=True)
    found = json.loads(asked.stdout)
    return {
        "processor": field("model name") or platform.processor() or platform.machine(),
        "family": field("cpu family"),
        "model": field("model\t"),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "device": found["device"],
        "commit": found["commit"],
        "date": datetime.date.today().isoformat(),
    }


def main():
    args = arguments()
    results = Results()
    rounds = min(args.rounds, 2) if args.quick else args.rounds
    runner = Runner(results, rounds)
    models = [model for model in chosen(args.only, args.quick) if model.file.exists()]
    for name, plan in SECTIONS.items():
        if name in (args.sections or SECTIONS):
            plan(runner, models)
    if runner.groups:
        results.data["machine"] = machine()
        results.data["rounds"] = rounds
        runner.run()
        print(f"results: {RESULTS.relative_to(ROOT)}", file=sys.stderr)
    print(table.full(results))
    folder = ROOT / "docs" if args.publish else RESULTS.parent
    plot.write(results, folder)
    if args.publish:
        table.publish(results)


main()
