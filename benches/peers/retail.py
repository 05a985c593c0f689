"""What the comparisons share: the input, Mainstem's own figures and answers, the table of ratios."""

import argparse
import decimal
import json
import math
import pathlib
import statistics
import tempfile

from processes import Ran, run

VIEWS = ["customer_360", "product_store_day", "top_departments"]
TABLES = ["lines", "products", "households"]
# The types whose values are added up, as DuckDB calls them: all numbers.
NUMBERS = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("DECIMAL", "FLOAT", "DOUBLE"),
}
# Sums of doubles depend on the order of what is added: by so large a share of the greater one, or
# by so much around zero, they may differ. All other sums are compared exactly.
TOLERANCE = 1e-9


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

    def __init__(self, options: argparse.Namespace, more: int = 0):
        """Writes the input, with so many lines `more` than are loaded."""
        self.mainstem = options.mainstem
        self.lines = options.lines
        self.more = more
        self.scale = ["--scale", str(options.scale)]
        self.scratch = tempfile.TemporaryDirectory(dir=".", prefix="peers-")
        self.directory = pathlib.Path(self.scratch.name).resolve()
        self.input = self.directory / "input"
        self.answers = self.directory / "answers"
        self._run("export", "--lines", str(self.lines + more), *self.scale, "--out", str(self.input))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scratch.cleanup()

    def _run(self, *arguments: str, watched: bool = False) -> Ran:
        return run([self.mainstem, "bench", *arguments], watched)

    def _measure(self, arguments: tuple, lines: int, watched: bool = False) -> tuple:
        """The report of one measurement, in a process of its own, and the process."""
        report = self.directory / "report.json"
        scratch = ["--data-dir", str(self.directory / "engine"), "--json", str(report)]
        ran = self._run(*arguments, "--lines", str(lines), *self.scale, *scratch, watched=watched)
        return json.loads(report.read_text()), ran

    def measure(self, *arguments: str) -> dict:
        """The report of one measurement, in a process of its own."""
        return self._measure(arguments, self.lines)[0]

    def answer(self) -> dict:
        """Loads all lines once more and keeps the views' rows; the sums of their columns."""
        self.measure("throughput", "--repetitions", "1", "--answers", str(self.answers))
        return {view: sums(self.answers / f"{view}.parquet") for view in VIEWS}

    def count(self) -> dict:
        """Loads all lines of the input; the number of rows of each view."""
        arguments = ("throughput", "--repetitions", "1")
        return counts(rows_of(self._measure(arguments, self.lines + self.more)[0]))

    def ingest(self) -> tuple:
        """The report of reading CSV files, and the most memory of the process while it did."""
        arguments = ("ingest", "--repetitions", "1", "--format", "csv")
        report, ran = self._measure(arguments, self.lines, watched=True)
        # Before and behind that, the same process writes the files and checks the answers.
        timed = report["timed"][-1]
        return report, ran.memory.peak(timed["began_s"], timed["ended_s"])

    def rows(self) -> int:
        """The rows of all tables, as they are in the files."""
        import duckdb

        files = [str(self.input / f"{name}.parquet") for name in TABLES]
        counted = [duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchall()[0][0] for file in files]
        return sum(counted)

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


def figures(reports: list, group: str, name: str) -> list:
    """One figure of each report."""
    return [figure(report, group, name) for report in reports]


def rows_of(report: dict) -> dict:
    """The rows of each view, as Mainstem counted and checked them."""
    return {view: int(figure(report, "rows of the views", view)) for view in VIEWS}


def sums(path: pathlib.Path) -> dict:
    """How many rows a Parquet file has, and the sum of each of its columns of numbers."""
    import duckdb

    connection = duckdb.connect()
    columns = connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    # Of DECIMAL(38,2) the first word; lists such as INTEGER[] are no numbers.
    numbers = [
        name
        for name, kind, *_ in columns
        if kind.split("(")[0] in NUMBERS and not kind.endswith("]")
    ]
    added = ["count(*)", *(f'sum("{name}")' for name in numbers)]
    values = connection.execute(f"SELECT {', '.join(added)} FROM '{path}'").fetchone()
    return dict(zip(["rows", *numbers], values))


def counts(rows: dict) -> dict:
    """Numbers of rows in the form of sums."""
    return {view: {"rows": count} for view, count in rows.items()}


def check(peer: str, found: dict, expected: dict) -> None:
    """Fails where a peer's views have other numbers of rows, or other sums, than Mainstem's."""
    for view, sums_here in expected.items():
        for name, value in sums_here.items():
            assert name in found[view], f"{peer} tells no {name} of {view}"
            other = found[view][name]
            assert is_same(value, other), f"{name} of {view}: {value} here, {other} in {peer}"


def is_same(one, other) -> bool:
    """Whether two sums are equal; of doubles, nearly."""
    one, other = number(one), number(other)
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return one == other


def number(value):
    """A sum as it is compared: that of no values is 0; decimals come from other processes as text."""
    if value is None:
        return 0
    return decimal.Decimal(value) if isinstance(value, str) else value


def table(title: str, unit: str, rows: list, higher_is_better: bool = True) -> None:
    """Prints of each row the median, least and greatest of its runs, and how many these were; and
    how many times better the first row's median is than that of each. The first is Mainstem's."""
    ours = statistics.median(rows[0][1])
    head = f"{'runs':>4} {unit + ', median':>18} {'least – greatest':>27} {'the first is':>13}"
    print(f"\n{title:76} {head}")
    for what, values in rows:
        value = statistics.median(values)
        ratio = ours / value if higher_is_better else value / ours
        spread = f"{min(values):,.1f} – {max(values):,.1f}"
        print(f"{what:76} {len(values):4} {value:18,.1f} {spread:>27} {ratio:12.2f}x")


class FromFiles:
    """Runs from CSV files to complete views, Mainstem's and a peer's by turns."""

    def __init__(self, bench: Bench, peer: str, limit: str):
        """`limit` says how much memory the peer may take."""
        self.peer = peer
        self.limit = limit
        self.rows = bench.rows()
        self.ours, self.memory = [], []
        self.seconds, self.starts, self.other_memory = [], [], []

    def add_ours(self, run_of_ours: tuple) -> None:
        """A run of Mainstem: its report and its memory."""
        report, memory = run_of_ours
        self.ours.append(figure(report, "files to complete views", "csv"))
        self.memory.append(memory)

    def add_peer(self, whole: tuple, start: tuple) -> None:
        """A run of the peer over all rows, and one over a row of each table: its start alone."""
        (report, memory), (short, _) = whole, start
        seconds, start_s = report["seconds"], short["seconds"]
        assert seconds > start_s, f"{self.peer}: {seconds} s for all lines, {start_s} s for one: give more"
        self.seconds.append(seconds)
        self.starts.append(start_s)
        self.other_memory.append(memory)

    def tables(self) -> None:
        """Prints the rates and the most memory."""
        working = [whole - start for whole, start in zip(self.seconds, self.starts)]
        started = f"{statistics.median(self.starts):.1f} s"
        table(
            f"CSV to complete views, {self.rows:,} rows of all tables",
            "rows/s",
            [
                ("Mainstem: log and tables on; its engine is open already", self.ours),
                (f"{self.peer}: no log; with the start of the job", rates(self.rows, self.seconds)),
                (f"{self.peer}: no log; without the start ({started})", rates(self.rows, working)),
            ],
        )
        table(
            "most memory (Pss of the process and its children, looked at as they run)",
            "MB",
            [
                ("Mainstem: tables and views; while it loads", megabytes(self.memory)),
                (f"{self.peer}: {self.limit}; from start to end", megabytes(self.other_memory)),
            ],
            higher_is_better=False,
        )


def rates(rows: int, seconds: list) -> list:
    """Rows a second of runs that took so long."""
    return [rows / taken for taken in seconds]


def megabytes(sizes: list) -> list:
    """Bytes as millions of them."""
    return [size / 1e6 for size in sizes]
