"""Data that the queries of TPC-DS are about.

At the smallest scale most combinations of values that a query asks for are not there, and an empty
answer is no test. So some rows are given values for which conditions of the queries hold: the
conditions are read off the queries' texts, and those that stand near each other are used together.
"""

import re
from bisect import bisect_left
from collections import defaultdict

TEXT = r"'[^']*'"
DATE = rf"(?:cast\s*\(\s*{TEXT}\s+as\s+date\s*\))"
NUMBER = r"-?\d+(?:\.\d+)?(?:\s*[+-]\s*\d+)*"
LITERAL = rf"(?:{DATE}|{TEXT}|{NUMBER})"
CONDITION = re.compile(
    rf"\b(?:substr(?:ing)?\s*\(\s*)?(?P<column>[a-z]+_\w+)(?:\s*,\s*1\s*,\s*\d+\s*\))?\s*(?:"
    rf"(?P<test>=|>=|<=|>|<)\s*(?P<value>{LITERAL})"
    rf"|between\s+(?P<low>{LITERAL})\s+and\s+(?P<high>{LITERAL})"
    rf"|in\s*\(\s*(?P<values>{LITERAL}(?:\s*,\s*{LITERAL})*)\s*\))",
    re.IGNORECASE,
)
# What queries call the year of a day in their common table expressions.
YEAR = re.compile(r"\b(?:dyear|year_|ss_sold_year)\b", re.IGNORECASE)
# Queries with more conditions are not steered more often.
PLACES_MAX = 8
CANDIDATES = 12
# Of long lists only the first values are used, so that some are met often.
VALUES_MAX = 8


class Steering:
    """The conditions of all queries, by where they stand."""

    def __init__(self, database, texts, columns, random):
        self.database = database
        self.random = random
        self.tables = columns
        self.table_of = {name: table for table, names in columns.items() for name, _ in names}
        self.places = []
        self.places_of = {}
        self.positions = {}
        self.conditions = {}
        self.found = {}
        for query, text in texts.items():
            by_column = defaultdict(list)
            positions = []
            for match in CONDITION.finditer(YEAR.sub("d_year", text)):
                column = match["column"].lower()
                if column in self.table_of:
                    by_column[column].append((match.start(), match))
                    positions.append(match.start())
            self.conditions[query] = by_column
            self.positions[query] = sorted(positions)
            random.shuffle(positions)
            self.places += [(query, position) for position in positions[:PLACES_MAX]]

    def place(self, table):
        """Somewhere in some query, about a table if any query is."""
        if table is None:
            return self.random.choice(self.places)
        if table not in self.places_of:
            about = [
                place
                for place in self.places
                if any(self.table_of[column] == table for column in self.conditions[place[0]])
            ]
            self.places_of[table] = about or self.places
        return self.random.choice(self.places_of[table])

    def places_in(self, query):
        """All places of a query; its beginning, if it has no conditions."""
        return [(query, position) for position in self.positions[query] or [0]]

    def distinct_places(self, table):
        """Places that differ in what they ask of a table."""
        places = {}
        if table in self.table_of.values():
            for place in self.places:
                conditions = self.near(place, table)
                text = " AND ".join(sorted(match[0] for match in conditions.values()))
                if text:
                    places.setdefault(text, place)
        return list(places.values())

    def near(self, place, table):
        """The condition on each column of a table that stands next to a place."""
        query, position = place
        nearest = {}
        for column, found in self.conditions[query].items():
            if self.table_of[column] == table:
                starts = [start for start, _ in found]
                after = bisect_left(starts, position)
                around = found[max(after - 1, 0) : after + 1]
                nearest[column] = min(around, key=lambda pair: abs(pair[0] - position))[1]
        return nearest

    def keys(self, table, key, place):
        """Keys of rows of a table for which the conditions near a place hold."""
        if (table, place) in self.found:
            return self.found[table, place]
        conditions = self.near(place, table)
        text = " AND ".join(sorted(match[0] for match in conditions.values()))
        if text and (table, text) not in self.found:
            query = f"SELECT {key} FROM {table} WHERE {text} ORDER BY hash({key}) LIMIT {CANDIDATES}"
            try:
                keys = [row[0] for row in self.database.execute(query).fetchall()]
            except Exception:  # a condition that makes no sense by itself is not used
                keys = []
            self.found[table, text] = keys
        self.found[table, place] = self.found[table, text] if text else []
        return self.found[table, place]

    def values(self, table, place):
        """Values of columns of a table for which the conditions near a place hold."""
        return {
            column: value
            for column, match in self.near(place, table).items()
            if (value := self.value(match)) is not None
        }

    def value(self, match):
        if match["values"]:
            return self.random.choice(
                [
                    self.evaluated(value)
                    for value in re.findall(LITERAL, match["values"], re.IGNORECASE)[:VALUES_MAX]
                ]
            )
        if match["low"]:
            low, high = self.evaluated(match["low"]), self.evaluated(match["high"])
            if isinstance(low, str) or not isinstance(low, int):
                return low
            return self.random.randint(low, int(high))
        value = self.evaluated(match["value"])
        if isinstance(value, str):
            return value if match["test"] in ("=", ">=", "<=") else None
        return value + {">": 1, "<": -1}.get(match["test"], 0)

    def evaluated(self, text):
        if ("literal", text) not in self.found:
            value = self.database.execute(f"SELECT {text}").fetchone()[0]
            self.found["literal", text] = value
        return self.found["literal", text]
