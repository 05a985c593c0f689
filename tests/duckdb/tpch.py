"""TPC-H: its tables and queries from DuckDB's extension, and small transactions over them."""

import os

from databases import open_duckdb
from tpch_combinations import Combinations
from transactions import Transactions, sample

SCALE = float(os.environ.get("TPCH_SCALE", "0.01"))

KEYS = {
    "region": ("r_regionkey",),
    "nation": ("n_nationkey",),
    "part": ("p_partkey",),
    "supplier": ("s_suppkey",),
    "partsupp": ("ps_partkey", "ps_suppkey"),
    "customer": ("c_custkey",),
    "orders": ("o_orderkey",),
    "lineitem": ("l_orderkey", "l_linenumber"),
}
# Where a query is meant for the first rows of an order: the column that decides between equals.
DECIDING = {3: "l_orderkey", 10: "c_custkey", 18: "o_orderkey"}
ROWS_MAX = 20


class TpcH:
    """Tables and queries as DuckDB has them."""

    def __init__(self, random):
        self.random = random
        self.database = open_duckdb("tpch")
        self.database.execute(f"CALL dbgen(sf = {SCALE})")
        self.keys = KEYS
        self.columns = {}
        for table, key in KEYS.items():
            self.database.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(key)})")
            described = self.database.execute(f"DESCRIBE {table}").fetchall()
            self.columns[table] = [(name, data_type) for name, data_type, *_ in described]
        often = ["lineitem", "orders", "customer", "partsupp", "part"]
        self.transactions = Transactions(
            random,
            self.database,
            self.columns,
            self.keys,
            often=often,
            never=(),
            vary=self.vary,
            rows_max=ROWS_MAX,
            combine=Combinations(random, self.database, self.columns, self.keys).rows,
        )

    def queries(self):
        """The queries: name, text for Mainstem, DuckDB's text."""
        texts = self.database.execute("SELECT query_nr, query FROM tpch_queries()").fetchall()
        for number, text in sorted(texts):
            text = text.strip().rstrip(";")
            if number in DECIDING:
                head, limit = text.upper().rindex("LIMIT"), DECIDING[number]
                text = f"{text[:head].rstrip()}, {limit}\n{text[head:]}"
            yield f"q{number}", text, text

    def vary(self, table, row):
        """Gives a row some of the values of another row of the table."""
        [other] = sample(self.random, self.database, table, self.keys[table], 1)
        for position, (name, _) in enumerate(self.columns[table]):
            if name not in self.keys[table] and self.random.random() < 0.3:
                row[position] = other[position]
