"""DuckDB and Mainstem on the same retail lines, run by turns on the same machine.

    pip install -r benches/peers/requirements.txt
    python benches/peers/duckdb_retail.py --mainstem target/release/mainstem --lines 1500000

Mainstem writes the input (`bench export`) and is measured by its own `bench throughput`, `bench
ingest` and `bench latency`: log synced, views maintained. DuckDB computes the same views from
scratch, once in bulk and then again after each 1,000 lines: it keeps no view up to date. Both have
all cores. The turns alternate, so that whatever else the machine does hits both. Both must have the
same rows in all views. Mainstem loads in large transactions, as one does in bulk, and in those of
its other benchmarks.
"""

import time

import duckdb
from retail import TABLES, VIEWS, Bench, figures, parser, rates, table

# Rows of a transaction.
LARGE, USUAL = 262_144, 16_384


def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


class Duck:
    """DuckDB with the rows in memory."""

    def __init__(self, bench: Bench):
        self.connection = connect()
        self.queries = {view: bench.query(view) for view in VIEWS}
        for name in TABLES:
            path = bench.input / f"{name}.parquet"
            self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{path}'")

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

    def check(self, bench: Bench) -> None:
        """Fails unless Mainstem's views have the rows of those computed here, each as often."""
        for view in VIEWS:
            ours, theirs = f"FROM '{bench.answers}/{view}.parquet'", f"FROM {view}"
            names = [self.connection.execute(f"{rows} LIMIT 0").description for rows in (ours, theirs)]
            names = [[column[0] for column in described] for described in names]
            assert names[0] == names[1], f"{view}: columns {names[0]} here, {names[1]} in DuckDB"
            for left, right, whose in [(ours, theirs, "Mainstem"), (theirs, ours, "DuckDB")]:
                rest = f"SELECT * {left} EXCEPT ALL SELECT * {right}"
                # As text: Python wants a further package for times with zones.
                some = f"SELECT CAST(COLUMNS(*) AS TEXT) FROM ({rest}) LIMIT 3"
                rows = self.connection.execute(some).fetchall()
                assert not rows, f"{view}: only {whose} has rows such as {rows}"
        print(f"\nMainstem and DuckDB {duckdb.__version__} have the same rows in all views.")


def from_files(bench: Bench, extension: str) -> float:
    """Seconds from files to complete views, in a DuckDB of its own."""
    started = time.perf_counter()
    connection = connect()
    for name in TABLES:
        path = bench.input / f"{name}.{extension}"
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{path}'")
    for view in VIEWS:
        connection.execute(f"CREATE TABLE {view} AS {bench.query(view)}")
    return time.perf_counter() - started


def main() -> None:
    arguments = parser(turns=5)
    arguments.add_argument("--rate", default="100000", help="lines that arrive in a second")
    arguments.add_argument("--seconds", default="5", help="for how long they arrive")
    options = arguments.parse_args()
    formats = ["parquet", "csv", "ndjson"]

    with Bench(options) as bench:
        duck = Duck(bench)
        sizes = {size: ["--repetitions", "1", "--transaction", str(size)] for size in [LARGE, USUAL]}
        ours, read = {size: [] for size in sizes}, {size: [] for size in sizes}
        batch = []
        files = {extension: [] for extension in formats}
        for _ in range(options.turns):
            for size, arguments in sizes.items():
                ours[size].append(bench.measure("throughput", *arguments))
                read[size].append(bench.measure("ingest", *arguments))
            batch.append(duck.compute())
            for extension in formats:
                files[extension].append(from_files(bench, extension))
        bench.answer()
        duck.check(bench)
        loop = ["latency", "--transaction", "1000"]
        opened = bench.measure(*loop, "--seconds", options.seconds, "--rate", options.rate)
        closed = bench.measure(*loop, "--seconds", "1", "--rate", "max")
        updates = [duck.update() * 1e3 for _ in range(20)]
        rows = bench.rows()

    name = f"DuckDB {duckdb.__version__}: from scratch"
    of_sizes = lambda reports, group, what: [
        (f"Mainstem: log on, {size:,} a transaction", figures(reports[size], group, what))
        for size in sizes
    ]
    table(
        f"rows in memory to complete views, {options.lines:,} lines",
        "lines/s",
        [
            *of_sizes(ours, "rows in memory to complete views", "median"),
            (name, rates(options.lines, batch)),
        ],
    )
    for extension in formats:
        table(
            f"{extension} to complete views, {rows:,} rows of all tables",
            "rows/s",
            [
                *of_sizes(read, "files to complete views", extension),
                (name, rates(rows, files[extension])),
            ],
        )
    more(opened, closed, options.rate, updates)


def more(opened: dict, closed: dict, rate: str, updates: list) -> None:
    """Prints how long 1,000 lines more take: Mainstem's median in one run of each loop, DuckDB's
    updates one by one."""
    groups = [entry["group"] for entry in closed["figures"] if entry["name"] == "p50"]
    table(
        "1,000 lines more until all views have them, p50",
        "ms",
        [
            ("Mainstem: closed loop, log and tables on", figures([closed], groups[0], "p50")),
            (f"DuckDB {duckdb.__version__}: closed loop, insert and compute anew", updates),
            (f"Mainstem: open loop, {rate} lines a second", figures([opened], groups[0], "p50")),
        ],
        higher_is_better=False,
    )


if __name__ == "__main__":
    main()
