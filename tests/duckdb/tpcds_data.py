"""The tables of TPC-DS with rows that its queries are about."""

import re
from collections import defaultdict
from decimal import Decimal

from databases import load, open_duckdb
from steering import Steering
from transactions import by_key

SCALE = 0.01

KEYS = {
    "store_sales": ("ss_item_sk", "ss_ticket_number"),
    "store_returns": ("sr_item_sk", "sr_ticket_number"),
    "catalog_sales": ("cs_item_sk", "cs_order_number"),
    "catalog_returns": ("cr_item_sk", "cr_order_number"),
    "web_sales": ("ws_item_sk", "ws_order_number"),
    "web_returns": ("wr_item_sk", "wr_order_number"),
    "inventory": ("inv_date_sk", "inv_item_sk", "inv_warehouse_sk"),
}
RETURNS = ("store_returns", "catalog_returns", "web_returns")
# The sales that a return follows, and that sales of other channels follow now and then.
FOLLOWED = {
    "store_returns": "store_sales",
    "catalog_sales": "store_returns",
    "web_sales": "store_sales",
    "catalog_returns": "catalog_sales",
    "web_returns": "web_sales",
}
# Tables of which the small scale has a row or a few: this many are made of them at least.
COPIES = {
    "store": 20,
    "call_center": 6,
    "web_site": 6,
    "web_page": 20,
    "warehouse": 5,
    "promotion": 20,
    "reason": 40,
}
STEERED = (*COPIES, "item", "customer_address", "ship_mode", "customer",
           "store_sales", "store_returns", "catalog_sales", "web_sales", "catalog_returns",
           "web_returns", "inventory")
REFERENCES = {
    "date_sk": "date_dim",
    "time_sk": "time_dim",
    "cdemo_sk": "customer_demographics",
    "hdemo_sk": "household_demographics",
    "addr_sk": "customer_address",
    "customer_sk": "customer",
    "item_sk": "item",
    "store_sk": "store",
    "promo_sk": "promotion",
    "warehouse_sk": "warehouse",
    "web_site_sk": "web_site",
    "web_page_sk": "web_page",
    "call_center_sk": "call_center",
    "ship_mode_sk": "ship_mode",
    "reason_sk": "reason",
}
# What the rows of one ticket or order do not have in common.
OF_LINE = ("item", "promotion", "warehouse")
TOWN = ("city", "county", "state", "zip")
# Queries that ask for items with about the same revenue in all channels.
OF_EQUAL_REVENUE = (58,)
# Customers, sales and returns meet in the first of the many kinds of customers.
COMMON_DEMOGRAPHICS = 40


class Data:
    """The tables in DuckDB; and how a row becomes one that a query asks for."""

    def __init__(self, random):
        self.random = random
        self.database = open_duckdb("tpcds")
        self.database.execute(f"CALL dsdgen(sf = {SCALE})")
        texts = self.database.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall()
        self.texts = dict(texts)
        self.columns = self._columns()
        self.positions = {
            table: {name: position for position, (name, _) in enumerate(columns)}
            for table, columns in self.columns.items()
        }
        self.keys = {
            table: KEYS.get(table, (columns[0][0],)) for table, columns in self.columns.items()
        }
        self.zips = re.findall(r"'(\d{5})'", self.texts[8])[:4]
        self.referring = {}
        self.customers = defaultdict(list)
        self.steering = Steering(self.database, self.texts, self.columns, random)
        self.places = {}
        for table in STEERED:
            self._steer_all(table)
        for table in sorted(self.columns.keys() - set(STEERED)):
            self._give_key(table)

    def key_positions(self, table):
        """Where the columns of a table's key stand."""
        return [self.positions[table][name] for name in self.keys[table]]

    def steer(self, table, row, place=None, of_ticket=None):
        """Gives a row values that some query asks for. Rows of one ticket share `of_ticket`."""
        is_of_any_query = table in KEYS or table == "customer"
        place = place or self.steering.place(None if is_of_any_query else table)
        for position, name, other in self.references(table):
            if name in self.keys[table] and table in RETURNS:
                continue
            if of_ticket is not None and position in of_ticket:
                row[position] = of_ticket[position]
                continue
            row[position] = self._reference(other, place, row[position])
            if of_ticket is not None and other not in OF_LINE:
                of_ticket[position] = row[position]
        for name, value in self.steering.values(table, place).items():
            if name not in self.keys[table] and self.random.random() < 0.9:
                row[self.positions[table][name]] = value
        self.skew(table, row, place)
        if table == "customer":
            self.customers[place[0]].append(row[0])

    def _reference(self, table, place, before):
        """The key of a row that goes with a place."""
        found = self.steering.keys(table, self.columns[table][0][0], place)
        if table == "customer" and not found:
            found = self.customers[place[0]]
        if found and self.random.random() < 0.9:
            return self.random.choice(found)
        if table in COPIES and self.random.random() < 0.95:
            return self.random.randint(1, COPIES[table])
        if table == "customer_demographics" and self.random.random() < 0.5:
            return self.random.randint(1, COMMON_DEMOGRAPHICS)
        return before

    def skew(self, table, row, place):
        """What conditions with literals do not tell."""
        for name, position in self.positions[table].items():
            if name == "inv_quantity_on_hand" and self.random.random() < 0.6:
                row[position] = self.random.choice((0, 1, 1, 1000))
            elif name.endswith("_ext_sales_price") and place[0] in OF_EQUAL_REVENUE:
                row[position] = Decimal("100.25")
            elif name == "s_zip":
                row[position] = self.random.choice(self.zips)
        if table == "customer_address" and self.random.random() < 0.4:
            town = self.random.choice(self.towns)
            for end in TOWN:
                row[self.positions[table]["ca_" + end]] = town[end]

    def references(self, table):
        """The columns of a table that name rows of others: position, name, other table."""
        if table not in self.referring:
            self.referring[table] = [
                (position, name, other)
                for name, position in self.positions[table].items()
                for end, other in REFERENCES.items()
                if name.endswith("_" + end) and other != table
            ]
        return self.referring[table]

    def _steer_all(self, table):
        """Replaces the rows of a table by steered ones."""
        rows = self.database.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()
        count = max(len(rows), COPIES.get(table, 0))
        there = len(rows)
        rows = [list(rows[number % there]) for number in range(count)]
        if table in COPIES:
            for number, row in enumerate(rows):
                row[0] = number + 1
                if number >= there:
                    row[1] = f"{row[1][:-4]}{number:04}"
        distinct = self.steering.distinct_places(table)
        key = self.key_positions(table)
        followed = FOLLOWED.get(table)
        sales = list(self.places.get(followed, {}).items())
        tickets = defaultdict(dict)
        places = {}
        for number, row in enumerate(rows):
            place, ticket = None, None
            if table in KEYS and table != "inventory":
                ticket = tickets[row[key[-1]]]
                place = ticket.setdefault("place", self.steering.place(None))
            elif number < len(distinct):
                place = distinct[number]
            if sales and (table in RETURNS or self.random.random() < 0.3):
                sale, place = self.random.choice(sales)
                ticket = self._follow(table, row, dict(sale))
            self.steer(table, row, place, ticket)
            places[self._common(table, row)] = place
        self.places[table] = places
        self.database.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {table} LIMIT 0")
        self._give_key(table)
        load(self.database, table, by_key(rows, key))
        if table == "store":
            names = ", ".join(f"s_{end}" for end in TOWN)
            towns = self.database.execute(f"SELECT {names} FROM store ORDER BY ALL").fetchall()
            self.towns = [dict(zip(TOWN, town)) for town in towns]

    def _give_key(self, table):
        key = ", ".join(self.keys[table])
        self.database.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")

    def _common(self, table, row):
        """What rows that follow this one have in common with it."""
        common = {}
        for name, position in self.positions[table].items():
            for end in ("customer_sk", "item_sk", "ticket_number", "order_number"):
                if name.endswith(end) and end not in common:
                    common[end] = row[position]
        return tuple(common.items())

    def _follow(self, table, row, sale):
        """Gives a row what it has in common with a sale; returns the values by position."""
        given = {}
        for name, position in self.positions[table].items():
            ends = ["customer_sk", "item_sk"]
            if table in RETURNS:
                ends += ["ticket_number", "order_number"]
            for end in ends:
                if name.endswith(end) and sale.get(end) is not None:
                    row[position] = given[position] = sale[end]
        return given

    def _columns(self):
        columns = {}
        query = """SELECT table_name, column_name, data_type FROM duckdb_columns()
            WHERE NOT internal ORDER BY table_name, column_index"""
        for table, column, data_type in self.database.execute(query).fetchall():
            columns.setdefault(table, []).append((column, data_type))
        return columns
