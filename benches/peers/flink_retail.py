"""Flink SQL and Mainstem on the same retail lines, from CSV files to complete views, by turns.

    pip install -r benches/peers/requirements-flink.txt    # and Java 11 or 17
    python benches/peers/flink_retail.py --mainstem target/release/mainstem

Flink runs in one process (a mini cluster), with what makes it fast here: mini-batches of a second
or 50,000 rows, state on the heap, objects reused, no checkpoints, results thrown away. Mainstem
has its log on. Flink's time is that of the job, with the planning of its queries and the start of the
mini cluster, without the start of Python and of the JVM; Mainstem's begins with an open engine whose
views are planned. So each turn has a job over one row of each table, too, and a second row of the
table is without that job's time. Flink's CSV files have no header and times as it reads them. A last
job counts the rows of Flink's views and adds up their numbers, which must come to those of Mainstem.
"""

import json
import os
import sys
import time

from processes import child
from retail import VIEWS, Bench, FromFiles, check, parser

SETTINGS = {
    "parallelism.default": str(os.cpu_count()),
    "pipeline.object-reuse": "true",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "50000",
    # Buffers between operators: more than the 64 MB that a mini cluster takes by itself.
    "taskmanager.memory.network.min": "256m",
    "taskmanager.memory.network.max": "256m",
}
# More than the job needs, so that memory is not what slows it. A JVM lets its heap grow before it
# collects: with less it would hold less.
HEAP_GB = 8

TABLES = {
    "lines": """household_id BIGINT, store_id BIGINT, basket_id BIGINT, product_id BIGINT,
        quantity BIGINT, sales_minor BIGINT, discount_minor BIGINT, sold_at TIMESTAMP(6)""",
    "products": "product_id BIGINT, department STRING, brand STRING",
    "households": "household_id BIGINT, age STRING, income STRING",
}


def prepare(bench: Bench) -> str:
    """Writes the rows as Flink reads them, and into `start` one of each table."""
    import duckdb

    directory = bench.directory / "flink"
    start = directory / "start"
    start.mkdir(parents=True)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in TABLES:
        rows = f"SELECT * FROM '{bench.input}/{name}.parquet'"
        if name == "lines":
            rows = f"SELECT * REPLACE (sold_at::TIMESTAMP AS sold_at) FROM ({rows})"
        connection.execute(f"COPY ({rows}) TO '{directory}/{name}.csv' (HEADER false)")
        connection.execute(f"COPY ({rows} LIMIT 1) TO '{start}/{name}.csv' (HEADER false)")
    for view in VIEWS:
        query = bench.query(view).replace("AS day", "AS `day`")
        for place in [directory, start]:
            (place / f"{view}.sql").write_text(query)
    return str(directory)


def run(directory: str, wanted: str) -> dict:
    """One job: all views to nowhere, or, of each view, the wanted sums (as JSON)."""
    os.environ["JDK_JAVA_OPTIONS"] = f"-Xmx{HEAP_GB}g"
    from pyflink.common import Configuration
    from pyflink.table import EnvironmentSettings, TableDescriptor, TableEnvironment

    configuration = Configuration()
    for key, value in SETTINGS.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode()
    environment = TableEnvironment.create(settings.with_configuration(configuration).build())
    for name, columns in TABLES.items():
        environment.execute_sql(
            f"""CREATE TABLE `{name}` ({columns}) WITH ('connector' = 'filesystem',
                'path' = '{directory}/{name}.csv', 'format' = 'csv')"""
        )
    queries = {view: open(f"{directory}/{view}.sql").read() for view in VIEWS}
    if wanted != "none":
        wanted = json.loads(wanted)
        return {view: added(environment, queries[view], wanted[view]) for view in VIEWS}
    started = time.perf_counter()
    inserts = environment.create_statement_set()
    for query in queries.values():
        nowhere = TableDescriptor.for_connector("blackhole").build()
        inserts.add_insert(nowhere, environment.sql_query(query))
    inserts.execute().wait()
    return {"seconds": time.perf_counter() - started}


def added(environment, query: str, names: list) -> dict:
    """The number of a query's rows and the sums of its columns: what a stream of changes ends with."""
    columns = ["count(*)" if name == "rows" else f"sum(`{name}`)" for name in names]
    # Of a query without rows there are no changes.
    last = [0] * len(names)
    for last in environment.execute_sql(f"SELECT {', '.join(columns)} FROM ({query})").collect():
        pass
    return dict(zip(names, last))


def main() -> None:
    options = parser(turns=3).parse_args()

    with Bench(options) as bench:
        directory = prepare(bench)
        runs = FromFiles(bench, "Flink SQL 2.3", f"heap of up to {HEAP_GB} GB")
        for _ in range(options.turns):
            runs.add_ours(bench.ingest())
            whole = child(__file__, "--job", directory, "none")
            runs.add_peer(whole, child(__file__, "--job", f"{directory}/start", "none"))
        expected = bench.answer()
        wanted = {view: list(sums) for view, sums in expected.items()}
        found, _ = child(__file__, "--job", directory, json.dumps(wanted))
        check("Flink", found, expected)

    runs.tables()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        # Decimals go as text.
        print(json.dumps(run(*sys.argv[2:4]), default=str))
    else:
        main()
