"""What the compiled peers share: how 1,000 lines more are timed, and what is held."""

import statistics

from retail import Bench, figures, table

# Lines behind the load that a compiled peer adds in 200 updates. Its files have so many more than
# Mainstem and it load.
LINES = 200_000
UPDATES = 200


def closed_loop(bench: Bench, workers: str) -> dict:
    """Mainstem's report of transactions of 1,000 lines, each as soon as all views have the one
    before, as the peers are given theirs; some 200 in a second."""
    loop = ["--transaction", "1000", "--rate", "max", "--seconds", "1"]
    return bench.measure("latency", *loop, "--workers", workers)


def open_loop(bench: Bench, workers: str) -> dict:
    """Mainstem's report of transactions of 1,000 lines that arrive by the clock, a hundred a second."""
    loop = ["--transaction", "1000", "--rate", "100000", "--seconds", "5"]
    return bench.measure("latency", *loop, "--workers", workers)


def of_all(reports: list, name: str) -> list:
    """One of a peer's figures, of each report."""
    return [report[name] for report in reports]


def latencies(workers: str, closed: list, opened: dict, peer: str, theirs: list) -> None:
    """Prints how long 1,000 lines take on top of those that are loaded."""
    groups = [entry["group"] for entry in opened["figures"] if entry["name"] == "p50"]
    many = statistics.median(figures(closed, groups[0], "transactions"))
    for percentile in ["p50", "p99", "max"]:
        table(
            f"1,000 lines until all views have them, {percentile}, {workers} workers",
            "ms",
            [
                (
                    f"Mainstem: log and tables on; closed loop, {many:.0f} transactions",
                    figures(closed, groups[0], percentile),
                ),
                (
                    f"{peer}: closed loop, {UPDATES} transactions",
                    of_all(theirs, f"update_{percentile}_ms"),
                ),
                (
                    "Mainstem: open loop, 100 a second for 5 s, from their scheduled arrival",
                    figures([opened], groups[0], percentile),
                ),
            ],
            higher_is_better=False,
        )


def memory(workers: str, ours: list, peer: str, theirs: list) -> None:
    """Prints what processes hold at the end, as each finds it out itself."""
    table(
        f"held at the end beside the input (growth of VmRSS), {workers} workers",
        "bytes/line",
        [
            (
                "Mainstem: tables and views",
                figures(ours, "memory, first run", "held, tables and views"),
            ),
            (f"{peer}: views without tables", of_all(theirs, "bytes_per_line")),
        ],
        higher_is_better=False,
    )
