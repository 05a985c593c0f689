"""Pathway and Mainstem on the same retail lines, from CSV files to complete views, by turns.

    pip install -r benches/peers/requirements-pathway.txt
    python benches/peers/pathway_retail.py --mainstem target/release/mainstem

Pathway's views are written in its Python tables, its results thrown away, a thread for each core.
Mainstem has its log on. Pathway's CSV files have times as microseconds.
"""

import argparse
import json
import os
import sys
import time

from retail import Bench, check, child, rows_of, tables_from_csv

DAY_US = 86_400_000_000


def prepare(bench: Bench) -> str:
    """Writes the rows as Pathway reads them."""
    import duckdb

    directory = bench.directory / "pathway"
    directory.mkdir()
    connection = duckdb.connect()
    for name in ["lines", "products", "households"]:
        rows = f"SELECT * FROM '{bench.input}/{name}.parquet'"
        if name == "lines":
            rows = f"SELECT * REPLACE (epoch_us(sold_at) AS sold_at) FROM ({rows})"
        connection.execute(f"COPY ({rows}) TO '{directory}/{name}.csv'")
    return str(directory)


def run(directory: str) -> dict:
    """Computes all views; seconds, and the numbers of their rows."""
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

    rows = {}

    def count(name: str, counted: pw.Table) -> None:
        def keep(key, row, time, is_addition):
            if is_addition:
                rows[name] = row["rows"]

        pw.io.subscribe(counted, on_change=keep)

    for view in [customer_360, product_store_day, top_departments]:
        pw.io.null.write(view)
    count("customer_360", customer_360.reduce(rows=pw.reducers.count()))
    count("product_store_day", product_store_day.reduce(rows=pw.reducers.count()))
    places = top_departments.select(places=pw.apply_with_type(len, int, top_departments.best))
    count("top_departments", places.reduce(rows=pw.reducers.sum(places.places)))

    started = time.perf_counter()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    return {"seconds": time.perf_counter() - started, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mainstem", default="target/release/mainstem")
    parser.add_argument("--lines", type=int, default=1_500_000)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()

    with Bench(options.mainstem, options.lines) as bench:
        directory = prepare(bench)
        ours, theirs, memory = [], [], []
        for _ in range(options.turns):
            ours.append(bench.ingest())
            report, peak = child(__file__, "--job", directory)
            theirs.append(report)
            memory.append(peak)
        loaded = bench.measure("throughput", "--repetitions", "1")
        check("Pathway", theirs[0]["rows"], rows_of(loaded))

    seconds = [report["seconds"] for report in theirs]
    tables_from_csv("Pathway 0.33", options.lines, ours, seconds, memory)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        print(json.dumps(run(sys.argv[2])))
    else:
        main()
