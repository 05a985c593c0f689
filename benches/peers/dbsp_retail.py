"""DBSP and Mainstem on the same retail lines, by turns.

    python benches/peers/dbsp_retail.py --mainstem target/release/mainstem

Builds `benches/peers/dbsp` with Cargo: DBSP, the engine below Feldera, as a library, with typed
tuples and compiled circuits, without SQL, a log, tables or storage. Both take rows in memory, in
transactions of 10,000 lines and then all lines in one. DBSP commits one transaction before it takes
the next; Mainstem has several on their way. DBSP merges in threads of its own, one for each worker.
"""

import json
import os
import pathlib
import statistics
import subprocess

from retail import Bench, check, counts, figure, parser, rows_of, table

HERE = pathlib.Path(__file__).parent
NAME = "DBSP 0.349"
TRANSACTION = 10_000


def build() -> str:
    """Compiles the circuit; its program's path."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "dbsp" / "target"))
    subprocess.run(["cargo", "build", "--release", "--locked"], check=True, cwd=HERE / "dbsp")
    return str((target / "release" / "dbsp-retail").resolve())


def turns(bench: Bench, program: str, workers: str, transaction: int, count: int) -> tuple:
    """The reports of Mainstem and of DBSP, run by turns with transactions of a size."""
    ours, theirs = [], []
    for _ in range(count):
        arguments = ["--repetitions", "1", "--workers", workers, "--transaction", str(transaction)]
        ours.append(bench.measure("throughput", *arguments))
        command = [program, str(bench.input), workers, str(transaction)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        theirs.append(json.loads(output.stdout))
        check("DBSP", counts(theirs[-1]["rows"]), counts(rows_of(ours[-1])))
    return ours, theirs


def middle(reports: list, name: str) -> float:
    """The median of one of DBSP's figures."""
    return statistics.median(report[name] for report in reports)


def rates(what: str, workers: str, ours: list, theirs: list) -> None:
    """Prints rates from rows in memory to complete views."""
    group = "rows in memory to complete views"
    median = statistics.median(figure(report, group, "median") for report in ours)
    table(
        f"{what}, {workers} workers",
        "lines/s",
        [
            ("Mainstem: SQL, log and tables on", median),
            (f"{NAME}: compiled circuit", middle(theirs, "lines_per_second")),
        ],
    )


def latencies(bench: Bench, workers: str, theirs: list) -> None:
    """Prints how long 1,000 lines take on top of all others."""
    latency = bench.measure("latency", "--seconds", "5", "--workers", workers)
    states = [entry["group"] for entry in latency["figures"] if entry["name"] == "p50"]
    for percentile in ["p50", "p99", "max"]:
        table(
            f"1,000 lines until all views have them, {percentile}, {workers} workers",
            "ms",
            [
                ("Mainstem: open loop", figure(latency, states[0], percentile)),
                (f"{NAME}: closed loop", middle(theirs, f"update_{percentile}_ms")),
            ],
            higher_is_better=False,
        )


def main() -> None:
    options = parser(turns=5).parse_args()
    program = build()

    with Bench(options) as bench:
        for workers in ["1", "2"]:
            ours, theirs = turns(bench, program, workers, TRANSACTION, options.turns)
            rates(f"{options.lines} lines, {TRANSACTION:,} a transaction", workers, ours, theirs)
            held = statistics.median(
                figure(report, "memory, first run", "held, tables and views") for report in ours
            )
            table(
                f"memory, {workers} workers",
                "bytes/line",
                [
                    ("Mainstem: tables and views", held),
                    (f"{NAME}: no tables", middle(theirs, "bytes_per_line")),
                ],
                higher_is_better=False,
            )
            latencies(bench, workers, theirs)
            ours, theirs = turns(bench, program, workers, options.lines, options.turns)
            rates(f"{options.lines} lines in one transaction", workers, ours, theirs)


if __name__ == "__main__":
    main()
