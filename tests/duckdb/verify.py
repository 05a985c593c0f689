"""Keeps the queries of a benchmark as live views, and compares each with DuckDB's answer after
every one of many small transactions.

    verify.py BENCHMARK --port PORT [--seed SEED] [--transactions TRANSACTIONS]
        [--queries QUERIES] [--document PAGE]

It fails where a view differs, or is refused. Where there are enough transactions to have brought
rows for each query several times, it also fails where an answer was empty throughout or never
changed: of that query nothing would be shown.
"""

import argparse
import random
import sys
import time

import document
from databases import Pair
from tpcds import TpcDs
from tpch import TpcH
from transactions import AIMED

BENCHMARKS = {"tpcds": TpcDs, "tpch": TpcH}
# So often rows must have come for each query before it is held against it that nothing changed.
ENOUGH = 3


class Result:
    """What is known of one query."""

    def __init__(self):
        self.refusal = None
        self.create_ms = 0
        self.compared = 0
        self.differences = []
        self.rows = 0
        self.changed = 0
        self.last = None


def main():
    arguments = parsed()
    chosen = random.Random(arguments.seed)
    benchmark = BENCHMARKS[arguments.benchmark](chosen)
    pair = Pair(benchmark.database, arguments.port)
    for table, columns in benchmark.columns.items():
        pair.create(table, columns, benchmark.keys[table])
    queries = {name: texts for name, *texts in benchmark.queries()}
    queries = selected(queries, arguments.queries, chosen)
    results = {name: Result() for name in queries}
    for name, (ours, _) in queries.items():
        create(pair, name, ours, results[name])
    benchmark.transactions.aim({name: theirs for name, (_, theirs) in queries.items()})
    for step in range(arguments.transactions + 1):
        if step:
            still = [name for name, result in results.items() if not result.changed]
            pair.transaction(benchmark.transactions.step(still))
        for name, (ours, theirs) in queries.items():
            if results[name].refusal is None:
                compare(pair, name, ours, theirs, results[name], step)
    report(results, arguments)


def selected(queries, wanted, chosen):
    """All queries, those named, or some as many as a number says."""
    if wanted == "all":
        return queries
    if wanted.isdigit():
        names = chosen.sample(sorted(queries), int(wanted))
        return {name: texts for name, texts in queries.items() if name in names}
    return {name: queries[name] for name in wanted.split(",")}


def create(pair, name, text, result):
    started = time.monotonic()
    try:
        pair.mainstem.execute(f"CREATE MATERIALIZED VIEW {name} AS {text}")
        pair.mainstem.execute(f"SELECT count(*) FROM {name}")
    except Exception as error:
        result.refusal = str(error).replace("\n", " ")
        print(f"{name} is refused: {result.refusal}", flush=True)
    result.create_ms = round(1000 * (time.monotonic() - started))


def compare(pair, name, ours, theirs, result, step):
    try:
        difference, answer = pair.compare(name, ours, theirs)
    except Exception as error:
        difference, answer = str(error), None
    result.compared += 1
    if answer:
        result.rows = max(result.rows, answer.telling())
        result.changed += bool(result.last and answer.difference(result.last.rows))
        result.last = answer
    if difference and not result.differences:
        print(f"{name} differs at step {step}: {difference}", flush=True)
    if difference:
        result.differences.append(step)


def report(results, arguments):
    for name, result in results.items():
        print(f"{name:4} created in {result.create_ms} ms; {result.rows} rows; the answer changed "
              f"{result.changed} times; {len(result.differences)} of {result.compared} differ")
    wrong = [name for name, result in results.items() if result.differences or result.refusal]
    empty = [name for name, result in results.items() if not result.rows]
    still = [name for name, result in results.items() if not result.changed]
    print(f"{len(results) - len(wrong)} of {len(results)} equal DuckDB's answers at first and "
          f"after each of {arguments.transactions} transactions (seed {arguments.seed}); "
          f"without a row: {', '.join(empty) or 'none'}; "
          f"never changed: {', '.join(still) or 'none'}")
    if arguments.document:
        document.write(arguments, results)
    is_shown = not (empty or still)
    is_long = arguments.transactions * AIMED >= ENOUGH * len(results)
    if is_long and not is_shown:
        print("a query whose answer is empty or never changes shows nothing: steer rows to it")
    sys.exit(bool(wrong) or is_long and not is_shown)


def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--transactions", type=int, default=5)
    parser.add_argument("--queries", default="all", help="all, a number of them, or names")
    parser.add_argument("--document", help="a page to write the results into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
