"""DBSP and Mainstem on the same retail lines, by turns.

    python benches/peers/dbsp_retail.py --mainstem target/release/mainstem

Builds `benches/peers/dbsp` with Cargo: DBSP, the engine below Feldera, as a library, with typed
tuples and compiled circuits, without SQL, a log, tables or storage. Both take rows in memory, in
transactions of 10,000 lines and then all lines in one, and both load the same lines. DBSP commits one
transaction before it takes the next; Mainstem has several on their way. DBSP merges in threads of its
own, one for each worker. On top of the load both add 1,000 lines at a time, each as soon as all views
have those before: a closed loop. An open loop of Mainstem stands beside.
"""

import json
import os
import pathlib
import subprocess

import updates
from processes import run
from retail import Bench, check, counts, figures, parser, table

HERE = pathlib.Path(__file__).parent
NAME = "DBSP 0.349"
TRANSACTION = 10_000


def build() -> str:
    """Compiles the circuit; its program's path."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "dbsp" / "target"))
    subprocess.run(["cargo", "build", "--release", "--locked"], check=True, cwd=HERE / "dbsp")
    return str((target / "release" / "dbsp-retail").resolve())


class Turns:
    """Runs of Mainstem and of DBSP by turns."""

    def __init__(self, bench: Bench, program: str, count: int):
        self.bench = bench
        self.program = program
        self.count = count
        self.expected = bench.count()

    def load(self, workers: str, transaction: int) -> tuple:
        """One load of each, with transactions of a size: their reports."""
        arguments = ["--repetitions", "1", "--workers", workers, "--transaction", str(transaction)]
        ours = self.bench.measure("throughput", *arguments)
        command = [self.program, str(self.bench.input), workers, str(transaction)]
        theirs = json.loads(run(command).output)
        check(NAME, counts(theirs["rows"]), self.expected)
        return ours, theirs

    def small(self, workers: str) -> None:
        """Transactions of 10,000 lines, what is held, and 1,000 lines more."""
        ours, theirs, closed = [], [], []
        for turn in range(self.count):
            here, there = self.load(workers, TRANSACTION)
            ours.append(here)
            theirs.append(there)
            # Every other turn, as it loads all lines once more.
            if turn % 2 == 0:
                closed.append(updates.closed_loop(self.bench, workers))
        rates(f"{self.bench.lines:,} lines, {TRANSACTION:,} a transaction", workers, ours, theirs)
        updates.memory(workers, ours, NAME, theirs)
        opened = updates.open_loop(self.bench, workers)
        updates.latencies(workers, closed, opened, NAME, theirs)

    def whole(self, workers: str) -> None:
        """All lines in one transaction."""
        loads = [self.load(workers, self.bench.lines) for _ in range(self.count)]
        ours, theirs = map(list, zip(*loads))
        rates(f"{self.bench.lines:,} lines in one transaction", workers, ours, theirs)


def rates(what: str, workers: str, ours: list, theirs: list) -> None:
    """Prints rates from rows in memory to complete views."""
    group = "rows in memory to complete views"
    table(
        f"{group}: {what}, {workers} workers",
        "lines/s",
        [
            ("Mainstem: SQL, log and tables on", figures(ours, group, "median")),
            (f"{NAME}: compiled circuit", updates.of_all(theirs, "lines_per_second")),
        ],
    )


def main() -> None:
    options = parser(turns=5).parse_args()
    program = build()

    with Bench(options, more=updates.LINES) as bench:
        turns = Turns(bench, program, options.turns)
        for workers in ["1", "2"]:
            turns.small(workers)
            turns.whole(workers)


if __name__ == "__main__":
    main()
