"""Rows of TPC-DS that together add to a query's answer: what a customer bought, and brought back,
in the channels and on the days that the query asks for.

Rows that are aimed at a query one by one rarely meet: they are of different customers, items and
days.
"""

import re
from dataclasses import dataclass, field

from transactions import sample

# Returns, and the sales that they are of.
SALES_OF = {
    "store_returns": "store_sales",
    "catalog_returns": "catalog_sales",
    "web_returns": "web_sales",
}
FACTS = ("store_sales", "catalog_sales", "web_sales", *SALES_OF, "inventory")
# A row of each of these becomes one that the query asks for; what refers to others is last.
CHANGED = (
    "item", "store", "warehouse", "call_center", "web_site", "web_page", "promotion", "reason",
    "ship_mode", "customer_address", "customer",
)
# Of each of these all rows of a combination have the same one.
SHARED = (*CHANGED, "customer_demographics", "household_demographics")
# Few items, so that channels have them in common and limits show them.
ITEMS = 20
LINES_MAX = 6
DAYS_OF_INVENTORY = 12
# How often nothing happened in a channel, all was on one day, or was of one item, where the query
# does not mind.
ABSENT = 0.1
OF_ONE_DAY = 0.4
OF_ONE_ITEM = 0.6
# How often customers live in the town of their store.
LOCAL = 0.7
# Templates of these are among the first of a limit, every other time.
FIRST = {"store": "s_store_name, s_store_id", "customer": "c_customer_id"}
FIRST_ROWS = 20


@dataclass(frozen=True)
class Shape:
    """What a combination has to be for a query, where its conditions with literals do not tell.

    It has rows in all tables of the query but the absent ones.
    """

    lines: int | None = None
    is_of_one_day: bool | None = None
    is_of_one_item: bool | None = None
    absent: tuple = ()
    # Columns that do not refer to what the combination has in common.
    apart: tuple = ()
    # Values by column, or several to choose from; conditions by dimension; days by table of facts,
    # or for all of one day.
    values: dict = field(default_factory=dict)
    where: dict = field(default_factory=dict)
    days: dict = field(default_factory=dict)


# Less in stores, and more by catalog than on the web, than in the year before.
OF_TWO_YEARS = Shape(
    lines=20,
    is_of_one_day=False,
    days={
        "store_sales": "d_year = 2001 OR d_year = 2002 AND d_moy <= 2",
        "catalog_sales": "d_year = 2002 OR d_year = 2001 AND d_moy <= 2",
        "web_sales": "d_year IN (2001, 2002)",
    },
)
OF_ONE = Shape(is_of_one_item=True)
# Query 59 shows a store and two weeks, compared with those of the next year.
FIRST_STORE = "SELECT s_store_sk FROM store ORDER BY s_store_name, s_store_id, 1 LIMIT 1"
FIRST_WEEKS = """d_date BETWEEN DATE '2001-01-01' AND DATE '2001-01-14'
    OR d_date BETWEEN DATE '2001-12-31' AND DATE '2002-01-13'"""
IN_2000 = "d_year = 2000"
# Query 84 asks for incomes by their bounds, and queries 34 and 73 for people per vehicle.
INCOME_BANDS = """SELECT ib_income_band_sk FROM income_band
    WHERE ib_lower_bound >= 38128 AND ib_upper_bound <= 38128 + 50000"""
CROWDED = "hd_buy_potential = '>10000' AND hd_vehicle_count = 1 AND hd_dep_count > 1"
SHAPES = {
    1: Shape(values={"sr_return_amt": 5000}),
    4: OF_TWO_YEARS,
    6: Shape(lines=12, values={"i_current_price": 95}),
    11: OF_TWO_YEARS,
    16: Shape(lines=3, is_of_one_item=False, absent=("catalog_returns",)),
    17: OF_ONE,
    23: Shape(
        lines=LINES_MAX,
        is_of_one_day=True,
        is_of_one_item=True,
        values={"ss_quantity": 100, "ss_sales_price": 20_000},
        days={None: "d_year = 2000 AND d_moy = 2"},
    ),
    24: Shape(),
    25: OF_ONE,
    29: OF_ONE,
    30: Shape(values={"wr_return_amt": 9000}),
    31: Shape(
        lines=20,
        is_of_one_day=False,
        days={
            "store_sales": f"{IN_2000} AND (d_moy <= 4 OR d_moy = 7 AND d_dom <= 15)",
            "web_sales": f"{IN_2000} AND (d_moy = 1 AND d_dom <= 15 OR d_moy IN (4, 7, 8, 9))",
        },
    ),
    32: Shape(values={"cs_ext_discount_amt": (10, 9000)}),
    34: Shape(lines=17, is_of_one_item=False, where={"household_demographics": CROWDED}),
    39: Shape(is_of_one_day=False, values={"inv_quantity_on_hand": (0, 1, 1, 1000)}),
    44: Shape(values={"ss_net_profit": (9000, -9000, 1)}),
    54: Shape(days={"store_sales": "d_year = 1999 AND d_moy <= 3"}),
    58: Shape(
        lines=4,
        is_of_one_item=True,
        values={
            "ss_ext_sales_price": 90_000,
            "cs_ext_sales_price": 90_000,
            "ws_ext_sales_price": 90_000,
        },
    ),
    59: Shape(where={"store": f"s_store_sk IN ({FIRST_STORE})"}, days={"store_sales": FIRST_WEEKS}),
    64: Shape(
        lines=12,
        is_of_one_day=False,
        is_of_one_item=True,
        apart=("c_current_cdemo_sk",),
        values={
            "i_current_price": (66, 72),
            "cs_ext_list_price": 20_000,
            "cr_refunded_cash": 10,
            "cr_reversed_charge": 10,
            "cr_store_credit": 10,
        },
        days={"store_sales": "d_year = 1999 OR d_year = 2000 AND d_moy <= 2"},
    ),
    69: Shape(absent=("web_sales", "catalog_sales")),
    72: Shape(is_of_one_day=True),
    73: Shape(lines=3, is_of_one_item=False, where={"household_demographics": CROWDED}),
    74: OF_TWO_YEARS,
    76: Shape(values={"ss_store_sk": None, "ws_ship_customer_sk": None, "cs_ship_addr_sk": None}),
    81: Shape(values={"cr_return_amt_inc_tax": 9000}),
    83: OF_ONE,
    84: Shape(where={"household_demographics": f"hd_income_band_sk IN ({INCOME_BANDS})"}),
    91: Shape(where={"household_demographics": "hd_buy_potential LIKE 'Unknown%'"}),
    92: Shape(values={"ws_ext_discount_amt": (10, 9000)}),
    94: Shape(lines=3, is_of_one_item=False, absent=("web_returns",)),
    95: Shape(lines=3, is_of_one_item=False),
}


class Combinations:
    """Makes the rows for one query after the other."""

    def __init__(self, data):
        self.data = data
        self.ticket = 10_000_000

    def rows(self, query):
        """Rows by table that together add to the answer of a query."""
        return Combination(self, int(query[1:])).made

    def next_ticket(self):
        """The number of a ticket or an order that is not there."""
        self.ticket += 1
        return self.ticket


class Combination:
    """The rows of a combination, and what they have in common."""

    def __init__(self, combinations, query):
        self.next_ticket = combinations.next_ticket
        self.data = combinations.data
        self.random = self.data.random
        self.query = query
        self.shape = SHAPES.get(query, Shape())
        text = self.data.texts[query].lower()
        self.named = {table for table in self.data.columns if re.search(rf"\b{table}\b", text)}
        self.place = self._place()
        self.day = self._day(None, self.place)
        self.is_of_one_day = self._either(self.shape.is_of_one_day, OF_ONE_DAY)
        self.is_of_one_item = self._either(self.shape.is_of_one_item, OF_ONE_ITEM)
        self.shared = {}
        self.made = {}
        for table in CHANGED:
            if table in self.named:
                self._change(table)
        for table in FACTS:
            if table in self.named and not self._is_absent(table):
                self._add(table)

    def _is_absent(self, table):
        if self.query in SHAPES:
            return table in self.shape.absent
        return self.random.random() < ABSENT

    def _either(self, given, probability):
        return self.random.random() < probability if given is None else given

    def _change(self, table):
        """Makes a row of a dimension one that the query asks for."""
        row = self._template(table)
        self.shared[table] = row[0]
        self._refer(table, row, self.place)
        self.data.skew(table, row, self.place)
        if table == "customer_address" and "store" in self.made and self.random.random() < LOCAL:
            self._move(row, self.made["store"][0])
        self._give(table, row)
        self.made[table] = [row]

    def _move(self, address, store):
        """Puts an address into the town of a store."""
        for end in ("city", "county", "state", "zip"):
            of_address = self.data.positions["customer_address"]["ca_" + end]
            address[of_address] = store[self.data.positions["store"]["s_" + end]]

    def _add(self, table):
        """Adds sales, returns of those that were added, or days of inventory."""
        sales = self.made.get(SALES_OF.get(table), [])
        count = self.shape.lines or self.random.randint(1, LINES_MAX)
        if table == "inventory":
            count = DAYS_OF_INVENTORY
        count = min(count, len(sales)) if sales else count
        ticket = self.next_ticket()
        items = self.random.sample(range(1, ITEMS + 1), min(count, ITEMS))
        rows = sample(self.random, self.data.database, table, self.data.keys[table], count)
        self.made[table] = [list(row) for row in rows]
        for number, row in enumerate(self.made[table]):
            self._refer(table, row, self._place(), items[number])
            self._give(table, row)
            if sales:
                self._follow(table, row, sales[number])
            elif table != "inventory":
                row[self._key(table)[-1]] = self.next_ticket() if self.is_of_one_item else ticket

    def _template(self, table):
        """A row there is, to be changed."""
        query = f"SELECT * FROM {table} WHERE {self.shape.where.get(table, True)} ORDER BY "
        if table == "item":
            query += f"1 LIMIT {ITEMS}"
        elif table in FIRST and self.random.random() < 0.5:
            query += f"{FIRST[table]}, 1 LIMIT {FIRST_ROWS}"
        else:
            query += "1"
        return list(self.random.choice(self.data.database.execute(query).fetchall()))

    def _key(self, table):
        return self.data.key_positions(table)

    def _place(self):
        return self.random.choice(self.data.steering.places_in(self.query))

    def _keys(self, table, place):
        """Keys of rows of a dimension that the query asks for, if it asks for any."""
        key = self.data.columns[table][0][0]
        if condition := self.shape.where.get(table):
            return self._found(f"SELECT {key} FROM {table} WHERE {condition} ORDER BY {key}")
        return self.data.steering.keys(table, key, place)

    def _found(self, query):
        return [key for key, in self.data.database.execute(query).fetchall()]

    def _refer(self, table, row, place, item=None):
        """Lets a row refer to what its combination has in common, or to what the query asks for."""
        day = self.day if self.is_of_one_day else self._day(table, place)
        for position, name, other in self.data.references(table):
            if name in self.shape.apart:
                continue
            if other == "date_dim":
                if table in FACTS and day is not None:
                    row[position] = self._date(name, day)
            elif other == "item" and item and not self.is_of_one_item:
                row[position] = item
            elif other == "warehouse" and (table.endswith("_sales") or self.is_of_one_day):
                continue  # lines of one order come from several
            elif other in SHARED:
                row[position] = self._shared(other, row[position])
            elif keys := self._keys(other, place):
                row[position] = self.random.choice(keys)

    def _shared(self, table, before):
        if table not in self.shared:
            self.shared[table] = self.random.choice(self._keys(table, self.place) or [before])
        return self.shared[table]

    def _day(self, table, place):
        """A day that the query asks for, or None."""
        if condition := self.shape.days.get(table):
            keys = self._found(f"SELECT d_date_sk FROM date_dim WHERE {condition} ORDER BY 1")
        else:
            keys = self._keys("date_dim", place)
        return self.random.choice(keys) if keys else None

    def _date(self, name, day):
        """Queries ask for the day of a sale or for that of its shipment; the latter is later."""
        is_later = name.endswith("_ship_date_sk") and self.random.random() < 0.5
        return day + self.random.randint(6, 30) if is_later else day

    def _give(self, table, row):
        """Gives a row the values that the query asks for."""
        values = self.data.steering.values(table, self.place)
        if table == "inventory" and "inv_quantity_on_hand" not in values:
            self.data.skew(table, row, self.place)
        for name, value in {**values, **self.shape.values}.items():
            if name in self.data.positions[table] and name not in self.data.keys[table]:
                value = self.random.choice(value) if isinstance(value, tuple) else value
                row[self.data.positions[table][name]] = value

    def _follow(self, table, row, sale):
        """Makes a row the return of a sale: their keys are an item and a ticket."""
        for position, same in zip(self._key(table), self._key(SALES_OF[table])):
            row[position] = sale[same]
