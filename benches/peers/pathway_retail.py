"""Pathway and Mainstem on the same retail lines, from CSV files to complete views, by turns.

    pip install -r benches/peers/requirements-pathway.txt
    python benches/peers/pathway_retail.py --mainstem target/release/mainstem

Pathway's views are written in its Python tables, its results thrown away, a thread for each core.
Mainstem has its log on. Pathway's time is that of `pw.run`, which plans and starts its dataflow,
without the start of Python and the definition of its tables; Mainstem's begins with an open engine
whose views are planned. So each turn has a run over one row of each table, too, and a second row of
the table is without that run's time. Pathway's CSV files have times as microseconds. A last run counts
the rows of its views and adds up their numbers, which must come to those of Mainstem.
"""

import json
import os
import sys
import time

from processes import child
from retail import TABLES, Bench, FromFiles, check, parser

DAY_US = 86_400_000_000


def prepare(bench: Bench) -> str:
    """Writes the rows as Pathway reads them, and into `start` one of each table."""
    import duckdb

    directory = bench.directory / "pathway"
    start = directory / "start"
    start.mkdir(parents=True)
    connection = duckdb.connect()
    for name in TABLES:
        rows = f"SELECT * FROM '{bench.input}/{name}.parquet'"
        if name == "lines":
            rows = f"SELECT * REPLACE (epoch_us(sold_at) AS sold_at) FROM ({rows})"
        connection.execute(f"COPY ({rows}) TO '{directory}/{name}.csv'")
        connection.execute(f"COPY ({rows} LIMIT 1) TO '{start}/{name}.csv'")
    return str(directory)


def run(directory: str, what: str) -> dict:
    """Computes all views: the seconds it takes, or the numbers of their rows and the sums."""
    os.environ["PATHWAY_THREADS"] = str(os.cpu_count())
    import pathway as pw

    class Line(pw.Schema):
        household_id: int
        store_id: int
        basket_id: int
        product_id: int
        quantity: int
        sales_minor: int
        discount_minor: int
        sold_at: int

    class Product(pw.Schema):
        product_id: int = pw.column_definition(primary_key=True)
        department: str
        brand: str

    class Household(pw.Schema):
        household_id: int = pw.column_definition(primary_key=True)
        age: str
        income: str

    read = lambda name, schema: pw.io.csv.read(
        f"{directory}/{name}.csv", schema=schema, mode="static"
    )
    lines = read("lines", Line)
    products = read("products", Product)
    households = read("households", Household)

    sums = lines.groupby(lines.household_id).reduce(
        lines.household_id,
        lines=pw.reducers.count(),
        baskets=pw.reducers.count_distinct(lines.basket_id),
        quantity=pw.reducers.sum(lines.quantity),
        sales_minor=pw.reducers.sum(lines.sales_minor),
        discount_minor=pw.reducers.sum(lines.discount_minor),
        first_sale_at=pw.reducers.min(lines.sold_at),
        last_sale_at=pw.reducers.max(lines.sold_at),
    )
    customer_360 = sums.join_left(
        households, sums.household_id == households.household_id
    ).select(*pw.left, households.age, households.income)

    days = lines.with_columns(day=lines.sold_at // DAY_US)
    product_store_day = days.groupby(days.product_id, days.store_id, days.day).reduce(
        days.product_id,
        days.store_id,
        days.day,
        lines=pw.reducers.count(),
        quantity=pw.reducers.sum(days.quantity),
        sales_minor=pw.reducers.sum(days.sales_minor),
    )

    joined = lines.join(products, lines.product_id == products.product_id).select(
        lines.household_id, products.department, lines.sales_minor
    )
    departments = joined.groupby(joined.household_id, joined.department).reduce(
        joined.household_id, joined.department, sales=pw.reducers.sum(joined.sales_minor)
    )
    ranked = departments.groupby(departments.household_id).reduce(
        departments.household_id,
        best=pw.reducers.sorted_tuple(pw.make_tuple(-departments.sales, departments.department)),
    )
    top_departments = ranked.select(
        ranked.household_id, best=pw.apply_with_type(lambda best: best[:3], tuple, ranked.best)
    )

    for view in [customer_360, product_store_day, top_departments]:
        pw.io.null.write(view)
    found = {}
    if what == "check":
        found = totals(pw, customer_360, product_store_day, top_departments)
    started = time.perf_counter()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    return found or {"seconds": time.perf_counter() - started}


def totals(pw, customer_360, product_store_day, top_departments) -> dict:
    """Filled by the run: of each view the number of rows and the sums of its numbers."""
    found = {}

    def keep(view: str, totals, names: list) -> None:
        # Of a view without rows nothing will be told.
        found[view] = dict.fromkeys(names, 0)

        def keep_row(key, row, time, is_addition):
            if is_addition:
                found[view] = row

        pw.io.subscribe(totals, on_change=keep_row)

    def add(view: str, table, names: list) -> None:
        sums = {name: pw.reducers.sum(table[name]) for name in names}
        keep(view, table.reduce(rows=pw.reducers.count(), **sums), ["rows", *names])

    minor = ["quantity", "sales_minor"]
    names = ["household_id", "lines", "baskets", *minor, "discount_minor"]
    add("customer_360", customer_360, names)
    add("product_store_day", product_store_day, ["product_id", "store_id", "lines", *minor])

    # A household's departments are one row here: as many rows, which have its number.
    best, household = top_departments.best, top_departments.household_id
    number = lambda function, *columns: pw.apply_with_type(function, int, *columns)
    counted = top_departments.select(
        rows=number(len, best),
        household_id=number(lambda household, best: household * len(best), household, best),
        sales_minor=number(lambda best: -sum(sales for sales, _ in best), best),
        place=number(lambda best: len(best) * (len(best) + 1) // 2, best),
    )
    names = ["rows", "household_id", "sales_minor", "place"]
    sums = {name: pw.reducers.sum(counted[name]) for name in names}
    keep("top_departments", counted.reduce(**sums), names)
    return found


def main() -> None:
    options = parser(turns=3).parse_args()

    with Bench(options) as bench:
        directory = prepare(bench)
        runs = FromFiles(bench, "Pathway 0.33", "no limit")
        for _ in range(options.turns):
            runs.add_ours(bench.ingest())
            whole = child(__file__, "--job", directory, "load")
            runs.add_peer(whole, child(__file__, "--job", f"{directory}/start", "load"))
        expected = bench.answer()
        found, _ = child(__file__, "--job", directory, "check")
        check("Pathway", found, expected)

    runs.tables()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        print(json.dumps(run(*sys.argv[2:4]), default=str))
    else:
        main()
