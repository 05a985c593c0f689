"""DuckDB and Mainstem on the same retail lines, run by turns on the same machine.

    pip install -r benches/peers/requirements.txt
    python benches/peers/duckdb_retail.py --mainstem target/release/mainstem --lines 1500000

Mainstem writes the input (`bench export`) and is measured by its own `bench throughput` and `bench
latency`: rows in memory, log synced, views maintained. DuckDB gets the rows as a table in memory
and computes the same views from scratch, once in bulk and then again after each 1,000 lines: it
keeps no view up to date. Both have all cores. The turns alternate, so that whatever else the
machine does hits both. The row counts of all views must be equal.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import duckdb

VIEWS = ["customer_360", "product_store_day", "top_departments"]


def select_of(statement: str) -> str:
    """The query of a CREATE MATERIALIZED VIEW statement."""
    return statement.strip().rstrip(";").split(" AS\n", 1)[1]


def export(mainstem: str, lines: int, directory: pathlib.Path) -> None:
    arguments = ["bench", "export", "--lines", str(lines), "--out", str(directory)]
    subprocess.run([mainstem, *arguments], check=True, stdout=subprocess.DEVNULL)


def measure(mainstem: str, directory: pathlib.Path, *arguments: str) -> dict:
    report = directory / "report.json"
    scratch = ["--data-dir", str(directory / "engine"), "--json", str(report)]
    command = [mainstem, "bench", *arguments, *scratch]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())


def figure(report: dict, group: str, name: str) -> float:
    for entry in report["figures"]:
        if (entry["group"], entry["name"]) == (group, name):
            return entry["value"]
    raise KeyError((group, name))


def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


class Duck:
    """DuckDB with the rows in memory."""

    def __init__(self, directory: pathlib.Path):
        self.connection = connect()
        self.queries = {view: select_of((directory / f"{view}.sql").read_text()) for view in VIEWS}
        for table in ["lines", "products", "households"]:
            path = directory / f"{table}.parquet"
            self.connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{path}'")

    def compute(self) -> float:
        """Seconds to compute all views from the tables."""
        started = time.perf_counter()
        for view, query in self.queries.items():
            self.connection.execute(f"CREATE OR REPLACE TABLE {view} AS {query}")
        return time.perf_counter() - started

    def update(self) -> float:
        """Seconds to add 1,000 lines and to compute all views anew."""
        started = time.perf_counter()
        self.connection.execute("INSERT INTO lines SELECT * FROM lines LIMIT 1000")
        self.compute()
        return time.perf_counter() - started

    def rows(self, view: str) -> int:
        return self.connection.execute(f"SELECT count(*) FROM {view}").fetchone()[0]


def from_files(directory: pathlib.Path, extension: str) -> float:
    """Seconds from files to complete views, in a DuckDB of its own."""
    started = time.perf_counter()
    connection = connect()
    for table in ["lines", "products", "households"]:
        path = directory / f"{table}.{extension}"
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{path}'")
    for view in VIEWS:
        query = select_of((directory / f"{view}.sql").read_text())
        connection.execute(f"CREATE TABLE {view} AS {query}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mainstem", default="target/release/mainstem")
    parser.add_argument("--lines", type=int, default=1_500_000)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    lines = str(options.lines)

    with tempfile.TemporaryDirectory(dir=".") as name:
        directory = pathlib.Path(name)
        export(options.mainstem, options.lines, directory)
        duck = Duck(directory)
        ours, batch, parquet, csv = [], [], [], []
        for _ in range(options.turns):
            arguments = ["throughput", "--repetitions", "1", "--lines", lines]
            ours.append(measure(options.mainstem, directory, *arguments))
            batch.append(duck.compute())
            parquet.append(from_files(directory, "parquet"))
            csv.append(from_files(directory, "csv"))
        for view in VIEWS:
            found = figure(ours[0], "rows of the views", view)
            expected = duck.rows(view)
            assert found == expected, f"{view}: {found} rows here, {expected} in DuckDB"
        latency = measure(options.mainstem, directory, "latency", "--lines", lines, "--seconds", "5")
        updates = [duck.update() * 1e3 for _ in range(20)]

    group = "rows in memory to complete views"
    rate = statistics.median(figure(report, group, "median") for report in ours)
    rows = [("Mainstem: rows in memory, log on, 16,384 a transaction", rate, 1.0)]
    for what, seconds in [("rows in memory", batch), ("Parquet", parquet), ("CSV", csv)]:
        peer = options.lines / statistics.median(seconds)
        rows.append((f"DuckDB {duckdb.__version__}: {what}, from scratch", peer, rate / peer))
    print(f"{'load of ' + lines + ' lines':56} {'lines/s':>12} {'Mainstem is':>12}")
    for what, peer, ratio in rows:
        print(f"{what:56} {peer:12,.0f} {ratio:11.2f}x")

    states = [entry["group"] for entry in latency["figures"] if entry["name"] == "p50"]
    ours_ms = figure(latency, states[0], "p50")
    peer_ms = statistics.median(updates)
    print(f"\n{'1,000 lines more until all views have them, p50':56} {'ms':>12} {'Mainstem is':>12}")
    print(f"{'Mainstem: open loop, 100 transactions a second':56} {ours_ms:12.2f} {1.0:11.2f}x")
    print(f"{'DuckDB: insert and compute anew':56} {peer_ms:12.2f} {peer_ms / ours_ms:11.2f}x")


if __name__ == "__main__":
    main()
