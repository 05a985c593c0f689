"""TPC-DS: its queries from DuckDB's extension, and small transactions over its tables."""

import re

from tpcds_combinations import Combinations
from tpcds_data import KEYS, RETURNS, Data
from transactions import Transactions

# They give one row at most, or have no order; query 85 orders by all its columns.
UNORDERED = (28, 32, 38, 85, 97)

# What is written differently for us: query, pattern of DuckDB's text, our text, and why. What is
# written so because of divisions by zero is written so for DuckDB, too.
DIVISION = "in DuckDB, division by zero gives an infinity; with us it is an error of the row"
SCALE = "a quotient of decimals keeps six digits with us and is a float in DuckDB"
PERCENT = SCALE + ", and times 100 the last digits show"
# Divisors that rows of some seed make zero, and that the query does not keep from it.
DIVISORS = {
    2: r"\w+_sales2",
    12: r"sum\(sum\(\w+\)\) OVER \(PARTITION BY i_class\)",
    17: r"avg\(\w+\)",
    20: r"sum\(sum\(\w+\)\) OVER \(PARTITION BY i_class\)",
    36: r"sum\(ss_ext_sales_price\)",
    58: r"\(\(ss_item_rev\+cs_item_rev\+ws_item_rev\)/3\)",
    59: r"\w+_sales2",
    61: r"cast\(total AS decimal\(15,4\)\)",
    75: r"CAST\(prev_yr\.sales_cnt AS DECIMAL\(17,2\)\)",
    83: r"\(sr_item_qty\+cr_item_qty\+wr_item_qty\)",
    98: r"sum\(sum\(\w+\)\) OVER \(PARTITION BY i_class\)",
}
ADAPTATIONS = [
    (58, r"(\w+_item_rev)/\(\(", r"CAST(\1 AS DOUBLE)/((", PERCENT),
    (61, r"cast\(promotions AS decimal\(15,4\)\)/", r"CAST(promotions AS DOUBLE)/", PERCENT),
    (83, r"\((\w+_item_qty)\*1\.0000\)/", r"CAST(\1 AS DOUBLE)/", PERCENT),
    (66, r"(\w+_sales)/w_warehouse_sq_ft", r"CAST(\1 AS DOUBLE)/w_warehouse_sq_ft", SCALE),
]
ADAPTATIONS += [
    (query, f"/({divisor})", r"/NULLIF(\1, 0)", DIVISION) for query, divisor in DIVISORS.items()
]


# Queries 6 and 54 want one number of a month, which changed days would not give.
CALENDAR = ("date_dim", "time_dim")
# Rows of a table in a transaction, at most.
ROWS_MAX = 30


class TpcDs:
    """Tables and queries as DuckDB has them, the tables' rows steered towards the queries."""

    def __init__(self, random):
        self.random = random
        self.data = Data(random)
        self.database = self.data.database
        self.columns = self.data.columns
        self.keys = self.data.keys
        self.transactions = Transactions(
            random,
            self.database,
            self.columns,
            self.keys,
            often=sorted(KEYS),
            never=CALENDAR,
            vary=self.vary,
            rows_max=ROWS_MAX,
            combine=Combinations(self.data).rows,
        )

    def queries(self):
        """The queries: name, text for Mainstem, DuckDB's text."""
        for number, text in sorted(self.data.texts.items()):
            theirs = ordered(number, text, self.database)
            ours = theirs
            for query, pattern, adapted, reason in ADAPTATIONS:
                if query == number:
                    ours, count = re.subn(pattern, adapted, ours)
                    assert count, f"query {number} has no {pattern}"
                    if reason == DIVISION:
                        theirs, same = re.subn(pattern, adapted, theirs)
                        assert same == count, f"query {number} is not asked the same"
            yield f"q{number}", ours, theirs

    def vary(self, table, row):
        """Makes a row one that another query asks for; now and then with a key of its own."""
        self.data.steer(table, row)
        if table in KEYS and table not in RETURNS and self.random.random() < 0.3:
            row[self.data.positions[table][KEYS[table][-1]]] += self.random.randint(1, 3)


def ordered(number, text, database):
    """A query whose limit keeps the same rows whoever runs it: all columns decide in the end."""
    text = text.strip().rstrip(";").strip()
    limit = re.search(r"\blimit\s+\d+$", text, re.IGNORECASE)
    if not limit or number in UNORDERED:
        return text
    columns = len(database.execute(f"DESCRIBE {text}").fetchall())
    positions = ", ".join(str(position + 1) for position in range(columns))
    return f"{text[:limit.start()].rstrip()}, {positions}\n{limit[0]}"
