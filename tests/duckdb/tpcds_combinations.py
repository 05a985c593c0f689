"""Rows of TPC-DS that together add to a query's answer: what its customer bought, brought back and
did not, in the channels and on the days that it asks for.

`Steering` knows the values for which a query's conditions hold. Rows that are aimed at a query one
by one rarely meet: they are of different customers, items and days.
"""

import re
from datetime import timedelta

from transactions import sample

SALES_OF = {
    "store_returns": "store_sales",
    "catalog_returns": "catalog_sales",
    "web_returns": "web_sales",
}
SALES = ("store_sales", "catalog_sales", "web_sales")
FACTS = (*SALES, *SALES_OF, "inventory")
# Rows of these are changed, too, so that conditions on them hold: the referring ones last.
CHANGED = (
    "item", "store", "warehouse", "call_center", "web_site", "web_page", "promotion", "reason",
    "ship_mode", "customer_address", "customer",
)
# Of each of these the rows of a combination have one.
SHARED = (*CHANGED, "customer_demographics", "household_demographics")
ITEMS = 20
LINES_MAX = 6
DAYS_OF_INVENTORY = 12
# Now and then there is nothing in a channel, for queries that ask for what was not.
ABSENT = 0.2
# What the conditions of a query do not tell.
DATES = {
    (54, "store_sales"): "d_year = 1999 AND d_moy <= 3",
    (2, None): "d_year IN (2001, 2002)",
}
VALUES = {
    23: {"ss_quantity": 100, "ss_sales_price": 200},
}
# Queries for which one line is sold in each channel.
OF_ONE_LINE = (58, 83)
# Queries for which everything happens on one day.
OF_ONE_DAY = (23, 39, 72)


class Combinations:
    """Makes the rows for one query after the other."""

    def __init__(self, data):
        self.data = data
        self.random = data.random
        self.database = data.database
        self.steering = data.steering
        self.fresh = 10_000_000

    def rows(self, query):
        """Rows by table that together may add to the answer of a query."""
        number = int(query[1:])
        return Combination(self, number).made


class Combination:
    """The rows of a combination, and what they have in common."""

    def __init__(self, combinations, number):
        self.all = combinations
        self.random = combinations.random
        self.steering = combinations.steering
        self.positions = combinations.data.positions
        self.number = number
        text = combinations.data.texts[number].lower()
        self.named = {table for table in self.positions if re.search(rf"\b{table}\b", text)}
        self.place = self._place()
        self.day = self._day(None, self.place)
        self.is_of_one_day = number in OF_ONE_DAY or self.random.random() < 0.4
        self.is_of_one_item = self.random.random() < 0.6 or number in OF_ONE_LINE
        self.shared = {}
        self.made = {}
        for table in CHANGED:
            if table in self.named or table == "item":
                self._change(table)
        for table in FACTS:
            if table in self.named and self.random.random() >= ABSENT:
                self._add(table)

    def _place(self):
        places = self.steering.places_in(self.number)
        return self.random.choice(places) if places else (self.number, 0)

    def _templates(self, table, count):
        keys = self.all.data.keys[table]
        return [list(row) for row in sample(self.random, self.all.database, table, keys, count)]

    def _change(self, table):
        """Makes a row of a dimension one that the query asks for."""
        [row] = self._templates(table, 1)
        if table == "item":
            row = self._common_item() or row
        self.shared[table] = row[0]
        self._refer(table, row, self.place)
        self._give(table, row, self.place)
        self.all.data.skew(table, row, self.place)
        self.made[table] = [row]

    def _common_item(self):
        """One of the first items, so that channels have them in common and limits show them."""
        found = self.all.database.execute(
            f"SELECT * FROM item WHERE i_item_sk = {self.random.randint(1, ITEMS)}"
        ).fetchone()
        return found and list(found)

    def _add(self, table):
        """Adds sales, returns of those that were added, or days of inventory."""
        sales = self.made.get(SALES_OF.get(table), [])
        count = self.random.randint(1, LINES_MAX)
        if self.number in OF_ONE_LINE:
            count = 1
        if self.number == 23:
            count = LINES_MAX
        if table == "inventory":
            count = DAYS_OF_INVENTORY
        if sales:
            count = min(count, len(sales))
        rows = self._templates(table, count)
        self.all.fresh += 1
        for number, row in enumerate(rows):
            place = self._place()
            self._refer(table, row, place)
            self._give(table, row, self.place)
            if self.number in self.all.data.of_equal_revenue:
                self.all.data.skew(table, row, self.place)
            if sales:
                self._follow(table, row, sales[number])
            elif table != "inventory":
                self._number(table, row)
        self.made[table] = rows

    def _number(self, table, row):
        """Lines of one item are of tickets of their own."""
        if self.is_of_one_item:
            self.all.fresh += 1
        row[self.positions[table][self.all.data.keys[table][-1]]] = self.all.fresh

    def _refer(self, table, row, place):
        for position, name, other in self.all.data.references(table):
            if other == "date_dim":
                row[position] = self._date(table, name, place, row[position])
                continue
            if other == "item" and not self.is_of_one_item:
                row[position] = self.random.randint(1, ITEMS)
                continue
            if other not in self.shared and other in SHARED:
                keys = self._keys(other, self.place)
                self.shared[other] = self.random.choice(keys) if keys else row[position]
            if other in SHARED and not self._is_elsewhere(table, other):
                row[position] = self.shared[other]
            elif keys := self._keys(other, place):
                row[position] = self.random.choice(keys)

    def _is_elsewhere(self, table, other):
        """Some queries want lines of one order to come from several warehouses."""
        return other == "warehouse" and table in SALES

    def _keys(self, table, place):
        return self.steering.keys(table, self.all.data.columns[table][0][0], place)

    def _day(self, table, place):
        """A day that the query asks for, or None."""
        condition = DATES.get((self.number, table)) or DATES.get((self.number, None))
        if condition:
            query = f"SELECT d_date_sk FROM date_dim WHERE {condition}"
            keys = [key for key, in self.all.database.execute(query).fetchall()]
        else:
            keys = self._keys("date_dim", place)
        return self.random.choice(sorted(keys)) if keys else None

    def _date(self, table, name, place, before):
        """Customers come, and lines are sold, shipped and brought back, when the query says."""
        if self.all.data.is_dimension(table):
            return before
        day = self.day if self.is_of_one_day else self._day(table, place)
        if day is None:
            return before
        if name.endswith("_ship_date_sk"):
            return day + self.random.randint(6, 30) if "sold_date" in self.text_dates else day
        return day

    def _give(self, table, row, place):
        """Gives a row the values that the query asks for."""
        values = {**self.steering.values(table, place), **VALUES.get(self.number, {})}
        for name, value in values.items():
            if name in self.positions[table] and name not in self.all.data.keys[table]:
                row[self.positions[table][name]] = value

    def _follow(self, table, row, sale):
        """Makes a row the return of a sale."""
        other = SALES_OF[table]
        for name in self.all.data.keys[table]:
            [same] = [
                key for key in self.all.data.keys[other] if key.split("_")[1:] == name.split("_")[1:]
            ]
            row[self.positions[table][name]] = sale[self.positions[other][same]]
