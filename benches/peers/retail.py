"""What the comparisons share: the input, Mainstem's own figures and answers, the table of ratios."""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import threading
import time

VIEWS = ["customer_360", "product_store_day", "top_departments"]
# How the names of the types begin whose values are added up.
NUMBERS = ("BIGINT", "UBIGINT", "HUGEINT", "DECIMAL")


def parser(turns: int) -> argparse.ArgumentParser:
    """What all comparisons take."""
    options = argparse.ArgumentParser()
    options.add_argument("--mainstem", default="target/release/mainstem", help="the program")
    options.add_argument("--lines", type=int, default=1_500_000, help="lines of the input")
    options.add_argument("--scale", type=float, default=1.0, help="how large the chain of shops is")
    options.add_argument("--turns", type=int, default=turns, help="runs of each system")
    return options


class Bench:
    """Mainstem's bench commands, with a directory of their own for input, reports and answers."""

    def __init__(self, options: argparse.Namespace):
        self.mainstem = options.mainstem
        self.size = ["--lines", str(options.lines), "--scale", str(options.scale)]
        self.scratch = tempfile.TemporaryDirectory(dir=".", prefix="peers-")
        self.directory = pathlib.Path(self.scratch.name).resolve()
        self.input = self.directory / "input"
        self.answers = self.directory / "answers"
        self._run("export", *self.size, "--out", str(self.input))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scratch.cleanup()

    def _run(self, *arguments: str) -> None:
        command = [self.mainstem, "bench", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def measure(self, *arguments: str) -> dict:
        """The report of one measurement, in a process of its own."""
        report = self.directory / "report.json"
        scratch = ["--data-dir", str(self.directory / "engine"), "--json", str(report)]
        self._run(*arguments, *self.size, *scratch)
        return json.loads(report.read_text())

    def answer(self) -> dict:
        """Loads all lines once more and keeps the views' rows; the sums of their columns."""
        self.measure("throughput", "--repetitions", "1", "--answers", str(self.answers))
        return {view: sums(self.answers / f"{view}.parquet") for view in VIEWS}

    def ingest(self) -> dict:
        """The report of reading CSV files."""
        return self.measure("ingest", "--repetitions", "1", "--format", "csv")

    def query(self, view: str) -> str:
        """The query of a view's CREATE MATERIALIZED VIEW statement."""
        text = (self.input / f"{view}.sql").read_text()
        return text.strip().rstrip(";").split(" AS\n", 1)[1]


def figure(report: dict, group: str, name: str) -> float:
    """One figure of a report."""
    for entry in report["figures"]:
        if (entry["group"], entry["name"]) == (group, name):
            return entry["value"]
    raise KeyError((group, name))


def rows_of(report: dict) -> dict:
    """The rows of each view, as Mainstem counted and checked them."""
    return {view: int(figure(report, "rows of the views", view)) for view in VIEWS}


def sums(path: pathlib.Path) -> dict:
    """How many rows a Parquet file has, and the sum of each of its columns of numbers."""
    import duckdb

    connection = duckdb.connect()
    columns = connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    numbers = [name for name, kind, *_ in columns if kind.startswith(NUMBERS)]
    added = ", ".join(f'sum("{name}")' for name in numbers)
    totals = connection.execute(f"SELECT count(*), {added} FROM '{path}'").fetchall()
    rows, *values = totals[0]
    return {"rows": rows, **dict(zip(numbers, map(int, values)))}


def counts(rows: dict) -> dict:
    """Numbers of rows in the form of sums."""
    return {view: {"rows": count} for view, count in rows.items()}


def check(peer: str, found: dict, expected: dict) -> None:
    """Fails where a peer's views have other numbers of rows, or other sums, than Mainstem's."""
    for view, sums_here in expected.items():
        for name, value in sums_here.items():
            other = found[view][name]
            assert other == value, f"{name} of {view}: {value} here, {other} in {peer}"


def table(title: str, unit: str, rows: list, higher_is_better: bool = True) -> None:
    """Prints figures with their ratios; the first row is Mainstem's."""
    ours = rows[0][1]
    print(f"\n{title:64} {unit:>12} {'Mainstem is':>12}")
    for what, value in rows:
        ratio = ours / value if higher_is_better else value / ours
        print(f"{what:64} {value:12,.1f} {ratio:11.2f}x")


def tables_from_csv(peer: str, lines: int, ours: list, seconds: list, memory: list) -> None:
    """Prints rates from CSV files to complete views and peak memory, Mainstem's and a peer's."""
    rates = [figure(report, "files to complete views", "csv") for report in ours]
    group = "most memory of the process, files to complete views"
    peaks = [figure(report, group, "csv") for report in ours]
    table(
        f"CSV to complete views, {lines} lines",
        "rows/s",
        [
            ("Mainstem: log and tables on", statistics.median(rates)),
            (f"{peer}: no log", lines / statistics.median(seconds)),
        ],
    )
    table(
        "peak memory of the process",
        "MB",
        [
            ("Mainstem: tables and views", statistics.median(peaks) / 1e6),
            (peer, statistics.median(memory) / 1e6),
        ],
        higher_is_better=False,
    )


class Memory(threading.Thread):
    """The most memory that a process and its children held, in bytes, looked at as it runs."""

    def __init__(self, process: int):
        super().__init__(daemon=True)
        self.process = process
        self.peak = 0
        self.is_over = False
        self.start()

    def run(self) -> None:
        while not self.is_over:
            self.peak = max(self.peak, sum(map(resident, family(self.process))))
            time.sleep(0.1)

    def end(self) -> int:
        """Stops looking; returns the peak."""
        self.is_over = True
        self.join()
        return self.peak


def family(process: int) -> list:
    """A process and all that came of it."""
    found, waiting = [], [process]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for children in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:
                pass
    return found


def resident(process: int) -> int:
    """Bytes of a process that are in memory."""
    try:
        text = pathlib.Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def child(script: str, *arguments: str) -> tuple:
    """Runs a script as a process of its own: what it prints as JSON, and its peak memory."""
    import sys

    process = subprocess.Popen(
        [sys.executable, script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    memory = Memory(process.pid)
    output = process.communicate()[0].decode()
    peak = memory.end()
    assert process.returncode == 0, f"{script} {' '.join(arguments)} failed"
    return json.loads(output.strip().splitlines()[-1]), peak
