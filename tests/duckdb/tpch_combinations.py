"""Rows of TPC-H that together add to a query's answer.

Random rows hardly ever do: of 150,000 orders, one more is not among the ten that query 3 shows,
and no order of seven random lines has the 300 pieces that query 18 asks for.
"""

from transactions import sample

LINES = 7
# Of these tables a combination has rows of its own; of the others, it changes some that are there.
NEW = ("orders", "lineitem", "customer")
REFERENCES = {
    "c_nationkey": "nation",
    "s_nationkey": "nation",
    "o_custkey": "customer",
    "l_orderkey": "orders",
    "l_partkey": "part",
    "l_suppkey": "supplier",
    "ps_partkey": "part",
    "ps_suppkey": "supplier",
}
ORDER = ("region", "nation", "customer", "supplier", "part", "partsupp", "orders", "lineitem")


def nation(key, name, region_key, region):
    """A nation and its region as they are at first, should they have been renamed."""
    return {
        "region": {"r_regionkey": region_key, "r_name": region},
        "nation": {"n_nationkey": key, "n_name": name, "n_regionkey": region_key},
    }


CHINA = nation(18, "CHINA", 2, "ASIA")
FRANCE = nation(6, "FRANCE", 3, "EUROPE")
GERMANY = nation(7, "GERMANY", 3, "EUROPE")
BRAZIL = nation(2, "BRAZIL", 1, "AMERICA")
CANADA = nation(3, "CANADA", 1, "AMERICA")
SAUDI_ARABIA = nation(20, "SAUDI ARABIA", 4, "MIDDLE EAST")
BOTH_NATIONS = {"region": FRANCE["region"], "nation": [FRANCE["nation"], GERMANY["nation"]]}

DEAR = {"l_extendedprice": range(90_000, 100_000), "l_discount": 0}
LATE = {"l_commitdate": "1993-09-01", "l_receiptdate": "1993-09-20"}
IN_TIME = {"l_commitdate": "1993-09-20", "l_receiptdate": "1993-09-01"}


def in_person(brand, containers, quantities):
    """One of the three ways to be of query 19's answer."""
    line = {"l_quantity": quantities, "l_shipmode": "AIR", "l_shipinstruct": "DELIVER IN PERSON"}
    return {
        "part": {"p_brand": brand, "p_container": containers, "p_size": 3},
        "orders": {},
        "lineitem": [line] * 3,
    }


# By query: what the rows of some tables have, or several such recipes. A list is of rows; of a
# tuple or a range each row has one. Rows refer to the last row made of another table, or to any.
RECIPES = {
    1: {"orders": {}, "lineitem": [{"l_shipdate": "1998-08-01"}] * LINES},
    2: {
        **FRANCE,
        "supplier": {"s_nationkey": 6, "s_acctbal": range(9_900, 9_999)},
        "part": {"p_size": 15, "p_type": "SMALL PLATED BRASS"},
        "partsupp": {"ps_supplycost": range(0, 5)},
    },
    3: {
        "customer": {"c_mktsegment": "BUILDING"},
        "orders": {"o_orderdate": ("1995-03-01", "1995-03-14")},
        "lineitem": [{"l_shipdate": ("1995-03-16", "1995-04-20"), **DEAR}] * LINES,
    },
    4: {"orders": {"o_orderdate": "1993-08-01"}, "lineitem": [LATE] * 2},
    5: {
        **CHINA,
        "customer": {"c_nationkey": 18},
        "supplier": {"s_nationkey": 18},
        "orders": {"o_orderdate": ("1994-01-01", "1994-12-31")},
        "lineitem": [{}] * LINES,
    },
    6: {
        "orders": {},
        "lineitem": [
            {"l_shipdate": ("1994-01-01", "1994-12-31"), "l_discount": 0.06, "l_quantity": 23}
        ] * LINES,
    },
    7: {
        **BOTH_NATIONS,
        "customer": {"c_nationkey": 7},
        "supplier": {"s_nationkey": 6},
        "orders": {},
        "lineitem": [{"l_shipdate": ("1995-01-01", "1996-12-31")}] * LINES,
    },
    8: {
        **BRAZIL,
        "customer": {"c_nationkey": 2},
        "supplier": {"s_nationkey": 2},
        "part": {"p_type": "ECONOMY ANODIZED STEEL"},
        "orders": {"o_orderdate": ("1995-01-01", "1996-12-31")},
        "lineitem": [{}] * LINES,
    },
    9: {"part": {"p_name": "dark green"}, "partsupp": {}, "orders": {}, "lineitem": [{}] * LINES},
    10: {
        "customer": {},
        "orders": {"o_orderdate": ("1993-10-01", "1993-12-31")},
        "lineitem": [{"l_returnflag": "R", **DEAR}] * LINES,
    },
    11: {
        **GERMANY,
        "supplier": {"s_nationkey": 7},
        "part": {},
        "partsupp": {"ps_supplycost": range(900, 1000), "ps_availqty": range(9_000, 9_999)},
    },
    12: {
        "orders": {"o_orderpriority": ("1-URGENT", "2-HIGH", "5-LOW")},
        "lineitem": [
            {
                "l_shipmode": ("MAIL", "SHIP"),
                "l_shipdate": "1994-03-01",
                "l_commitdate": "1994-03-10",
                "l_receiptdate": "1994-03-20",
            }
        ] * 2,
    },
    13: {"customer": {}, "orders": [{"o_comment": "regular requests"}] * 3},
    14: {
        "part": {"p_type": "PROMO BURNISHED TIN"},
        "orders": {},
        "lineitem": [{"l_shipdate": ("1995-09-01", "1995-09-30")}] * LINES,
    },
    15: {
        "supplier": {},
        "orders": {},
        "lineitem": [
            {
                "l_shipdate": ("1996-01-01", "1996-03-31"),
                "l_extendedprice": range(400_000, 900_000),
                "l_discount": 0,
            }
        ] * LINES,
    },
    16: {
        "supplier": {"s_comment": ("Customer Complaints", "nothing")},
        "part": {"p_size": 49, "p_brand": "Brand#11", "p_type": "SMALL PLATED TIN"},
        "partsupp": {},
    },
    17: {
        "part": {"p_brand": "Brand#23", "p_container": "MED BOX"},
        "orders": {},
        "lineitem": [{"l_quantity": 1}] * 2 + [{"l_quantity": 50}] * 3,
    },
    18: {
        "customer": {},
        "orders": {"o_totalprice": range(500_000, 600_000)},
        "lineitem": [{"l_quantity": range(45, 51)}] * LINES,
    },
    19: (
        in_person("Brand#12", ("SM CASE", "SM PKG"), range(1, 12)),
        in_person("Brand#23", ("MED BAG", "MED BOX"), range(10, 21)),
        in_person("Brand#34", ("LG CASE", "LG PKG"), range(20, 31)),
    ),
    20: {
        **CANADA,
        "supplier": {"s_nationkey": 3},
        "part": {"p_name": "forest green"},
        "partsupp": {"ps_availqty": range(100, 200)},
        "orders": {},
        "lineitem": [{"l_shipdate": ("1994-01-01", "1994-12-31"), "l_quantity": 50}] * 2,
    },
    21: {
        **SAUDI_ARABIA,
        "supplier": {"s_nationkey": 20},
        "orders": {"o_orderstatus": "F"},
        "lineitem": [LATE] + [{"l_suppkey": range(1, 100), **IN_TIME}] * 2,
    },
    22: {"customer": {"c_phone": ("13-1", "31-1", "23-1"), "c_acctbal": range(9_000, 9_999)}},
}

class Combinations:
    """Makes the rows of a recipe, complete and with keys."""

    def __init__(self, random, database, columns, keys):
        self.random = random
        self.database = database
        self.columns = columns
        self.keys = keys
        self.fresh = {}
        for table in NEW:
            [key, *_] = keys[table]
            [largest] = database.execute(f"SELECT max({key}) FROM {table}").fetchone()
            self.fresh[table] = largest

    def rows(self, query):
        """Rows by table that add to the answer of a query."""
        recipe = RECIPES[int(query[1:])]
        if isinstance(recipe, tuple):
            recipe = self.random.choice(recipe)
        made, named = {}, {}
        for table in ORDER:
            if table in recipe:
                rows = recipe[table]
                rows = rows if isinstance(rows, list) else [rows]
                made[table] = [
                    self._row(table, values, named, number) for number, values in enumerate(rows)
                ]
        return made

    def _row(self, table, values, named, number):
        """A row there is, with other values; `named` has the keys of the rows made before."""
        names = [name for name, _ in self.columns[table]]
        row = dict(zip(names, self._template(table, values)))
        [key, *_] = self.keys[table]
        if table in self.fresh and key not in REFERENCES:
            self.fresh[table] += 1
            row[key] = self.fresh[table]
        for name, other in REFERENCES.items():
            if name in row and other in named:
                row[name] = named[other]
        if table == "lineitem":
            row["l_linenumber"] = number + 1
        for name, value in values.items():
            row[name] = self.random.choice(value) if isinstance(value, (tuple, range)) else value
        named[table] = row[key]
        return [row[name] for name in names]

    def _template(self, table, values):
        [key, *_] = self.keys[table]
        if key in values:
            found = self.database.execute(f"SELECT * FROM {table} WHERE {key} = {values[key]}")
            if rows := found.fetchall():
                return rows[0]
        [row] = sample(self.random, self.database, table, self.keys[table], 1)
        return row
