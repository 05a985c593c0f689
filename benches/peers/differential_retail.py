"""Hand-written differential dataflow and Mainstem on the same retail lines, by turns.

    python benches/peers/differential_retail.py --mainstem target/release/mainstem

Builds `benches/peers/differential` with Cargo: typed structs in differential's stock containers,
compiled, without a log, a table or an answer that could be read. Both take rows in memory in
transactions of 16,384 lines; the hand-written one has two of them in flight. Both load the same
lines. On top of them both add 1,000 at a time, each as soon as all views have those before: a closed
loop. An open loop of Mainstem stands beside.
"""

import json
import os
import pathlib
import subprocess

import updates
from processes import run
from retail import Bench, check, counts, figures, parser, table

HERE = pathlib.Path(__file__).parent
NAME = "differential 0.26"


def build() -> str:
    """Compiles the hand-written dataflow; its program's path."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "differential" / "target"))
    subprocess.run(["cargo", "build", "--release"], check=True, cwd=HERE / "differential")
    return str((target / "release" / "differential-retail").resolve())


def main() -> None:
    options = parser(turns=5).parse_args()
    program = build()

    with Bench(options, more=updates.LINES) as bench:
        expected = bench.count()
        for workers in ["1", "2"]:
            ours, theirs, closed = [], [], []
            for turn in range(options.turns):
                arguments = ["throughput", "--repetitions", "1", "--workers", workers]
                ours.append(bench.measure(*arguments))
                theirs.append(json.loads(run([program, str(bench.input), workers]).output))
                check(NAME, counts(theirs[-1]["rows"]), expected)
                # Every other turn, as it loads all lines once more.
                if turn % 2 == 0:
                    closed.append(updates.closed_loop(bench, workers))
            table(
                f"rows in memory to complete views, {options.lines:,} lines, {workers} workers",
                "lines/s",
                [
                    (
                        "Mainstem: SQL, log and tables on",
                        figures(ours, "rows in memory to complete views", "median"),
                    ),
                    (f"{NAME}: typed by hand", updates.of_all(theirs, "lines_per_second")),
                ],
            )
            updates.memory(workers, ours, NAME, theirs)
            opened = updates.open_loop(bench, workers)
            updates.latencies(workers, closed, opened, NAME, theirs)


if __name__ == "__main__":
    main()
