"""Runs jobs in turn, keeps what they gave, and says how long it will take.

A job is one process. The jobs of a group (one model) are run one after the other, then again from the first, so that
whatever the machine does to one engine it does to the others too.
"""

import json
import shlex
import statistics
import subprocess
import sys
import time

from catalogue import CACHE, RESULTS, ROOT


class Job:
    """A command, and a function from what it printed to samples `(section, series, unit, value)`."""

    def __init__(self, title, argv, samples, rounds=None):
        self.title, self.argv, self.samples = title, [str(part) for part in argv], samples
        self.rounds = rounds

    def command(self):
        """The command as a reader can type it."""
        words = []
        for part in self.argv:
            part = part.removeprefix(f"{ROOT}/target/release/").removeprefix(f"{ROOT}/")
            words.append(part.replace(str(CACHE), "~/.cache/inkling"))
        return " ".join(shlex.quote(word) if " " in word else word for word in words)

    def run(self):
        """Runs it; raises `Failed` with the end of what it said if it does not work."""
        start = time.perf_counter()
        try:
            done = subprocess.run(self.argv, capture_output=True, text=True, check=False)
        except OSError as why:
            raise Failed(f"{self.command()}: {why}") from why
        wall = time.perf_counter() - start
        if done.returncode != 0:
            raise Failed(f"{self.command()}: exit {done.returncode}: {done.stderr.strip()[-400:]}")
        return list(self.samples(done.stdout, wall))


class Failed(Exception):
    """A job that did not work."""


class Results:
    """What all runs so far have given: a JSON file that sections are merged into."""

    def __init__(self):
        self.data = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"sections": {}}

    def forget(self, section, model, series):
        self.data["sections"].get(section, {}).get(model, {}).pop(series, None)

    def add(self, section, model, series, unit, value, command):
        models = self.data["sections"].setdefault(section, {})
        entry = models.setdefault(model, {}).setdefault(series, {"unit": unit, "command": command, "values": []})
        entry["values"].append(value)

    def values(self, section, model, series):
        return self.data["sections"].get(section, {}).get(model, {}).get(series, {}).get("values", [])

    def median(self, section, model, series):
        """The median, or `None`."""
        values = self.values(section, model, series)
        return statistics.median(values) if values else None

    def command(self, section, model, series):
        return self.data["sections"].get(section, {}).get(model, {}).get(series, {}).get("command")

    def save(self):
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        part = RESULTS.with_suffix(".part")
        part.write_text(json.dumps(self.data, indent=1) + "\n")
        part.replace(RESULTS)


class Runner:
    """Runs groups of jobs with progress."""

    def __init__(self, results, rounds):
        self.results, self.rounds, self.groups, self.spent, self.ran = results, rounds, [], 0.0, 0

    def plan(self, model, jobs):
        """A group: `jobs` of `model` (a name), to be run in turn."""
        if jobs:
            self.groups.append((model, jobs))

    def run(self):
        left = sum(job.rounds or self.rounds for _, jobs in self.groups for job in jobs)
        total, forgotten = left, set()
        for model, jobs in self.groups:
            broken = set()
            for turn in range(max(job.rounds or self.rounds for job in jobs)):
                for index, job in enumerate(jobs):
                    if turn >= (job.rounds or self.rounds):
                        continue
                    left -= 1
                    if index in broken:
                        continue
                    self.tell(total - left, total, left, model, job)
                    start = time.perf_counter()
                    try:
                        samples = job.run()
                    except Failed as why:
                        print(f"  not measured: {why}", file=sys.stderr)
                        broken.add(index)
                        continue
                    self.spent, self.ran = self.spent + time.perf_counter() - start, self.ran + 1
                    for section, series, unit, value in samples:
                        if (section, model, series) not in forgotten:
                            forgotten.add((section, model, series))
                            self.results.forget(section, model, series)
                        self.results.add(section, model, series, unit, value, job.command())
            self.results.save()

    def tell(self, number, total, left, model, job):
        remaining = ""
        if self.ran:
            seconds = (left + 1) * self.spent / self.ran
            remaining = f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {seconds:.0f} s left"
        print(f"[{number}/{total}] {model}: {job.title}{remaining}", file=sys.stderr, flush=True)
