"""Hand-written differential dataflow and Mainstem on the same retail lines, by turns.

    python benches/peers/differential_retail.py --mainstem target/release/mainstem

Builds `benches/peers/differential` with Cargo: typed structs in differential's stock containers,
compiled, without a log, a table or an answer that could be read. Both take rows in memory in
transactions of 16,384 lines; the hand-written one has two of them in flight.
"""

import json
import os
import pathlib
import statistics
import subprocess

from retail import Bench, check, counts, figure, parser, rows_of, table

HERE = pathlib.Path(__file__).parent


def build() -> str:
    """Compiles the hand-written dataflow; its program's path."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "differential" / "target"))
    subprocess.run(["cargo", "build", "--release"], check=True, cwd=HERE / "differential")
    return str((target / "release" / "differential-retail").resolve())


def main() -> None:
    options = parser(turns=5).parse_args()
    program = build()

    with Bench(options) as bench:
        for workers in ["1", "2"]:
            ours, theirs = [], []
            for _ in range(options.turns):
                arguments = ["throughput", "--repetitions", "1", "--workers", workers]
                ours.append(bench.measure(*arguments))
                output = subprocess.run(
                    [program, str(bench.input), workers], check=True, capture_output=True
                )
                theirs.append(json.loads(output.stdout))
            check("differential", counts(theirs[0]["rows"]), counts(rows_of(ours[0])))
            middle = lambda name: statistics.median(report[name] for report in theirs)
            rates = [
                figure(report, "rows in memory to complete views", "median") for report in ours
            ]
            table(
                f"rows in memory to complete views, {options.lines} lines, {workers} workers",
                "lines/s",
                [
                    ("Mainstem: SQL, log and tables on", statistics.median(rates)),
                    ("differential 0.26: typed by hand", middle("lines_per_second")),
                ],
            )
            held = figure(ours[0], "memory, first run", "held, tables and views")
            table(
                "memory",
                "bytes/line",
                [
                    ("Mainstem: tables and views", held),
                    ("differential 0.26: no tables", middle("bytes_per_line")),
                ],
                higher_is_better=False,
            )
            latency = bench.measure("latency", "--seconds", "5", "--workers", workers)
            states = [entry["group"] for entry in latency["figures"] if entry["name"] == "p50"]
            for percentile in ["p50", "p99"]:
                table(
                    f"1,000 lines until all views have them, {percentile}",
                    "ms",
                    [
                        ("Mainstem: open loop", figure(latency, states[0], percentile)),
                        ("differential 0.26: closed loop", middle(f"update_{percentile}_ms")),
                    ],
                    higher_is_better=False,
                )


if __name__ == "__main__":
    main()
