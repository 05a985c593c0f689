"""Small transactions over tables with keys: rows go, come back, change and are replaced."""

import re

from databases import insertion, literal

# Queries that each transaction brings rows for; half of them are some that have not changed yet.
AIMED = 6


class Transactions:
    """Makes the statements of one transaction after the other.

    `often` are the tables that change most, `never` those that do not; `vary` changes a row of a
    table in place; `combine` makes rows of several tables that together add to the answer of a
    query.
    """

    def __init__(self, random, database, columns, keys, often, never, vary, rows_max, combine):
        self.random = random
        self.database = database
        self.columns = columns
        self.keys = keys
        self.often = often
        self.changing = sorted(columns.keys() - set(never))
        self.vary = vary
        self.rows_max = rows_max
        self.combine = combine
        self.texts = {}
        self.aims = []
        self.combined = []
        self.waiting = {}
        self.positions = {
            table: {name: position for position, (name, _) in enumerate(names)}
            for table, names in columns.items()
        }

    def aim(self, texts):
        """Names the queries whose answers are to change, with their texts."""
        self.texts = texts

    def step(self, still):
        """Rows of one table go or change by a statement, and rows of others come or are replaced.

        None of the former is among the latter, so that it stays away for a while.
        `still` are the queries whose answers have not changed yet.
        """
        tables = self.random.sample(self.often, min(3, len(self.often)))
        tables += self.random.sample(self.changing, 2)
        changed, rows, text = self._came() or (tables[0], self._rows(tables[0]), "")
        coming = {table: self._varied(table) for table in tables if table != changed}
        for query in self._aims(still):
            made = self.combine(query)
            if made:
                self.combined.append((query, made))
            for table, of_table in made.items():
                coming.setdefault(table, []).extend(of_table)
        statements = [self.random.choice([self._deletion, self._update])(changed, rows, text)]
        for table, of_table in coming.items():
            others = rows if table == changed else []
            if inserted := by_key(of_table, self._key(table), others):
                statements.append(insertion(table, inserted))
        return statements

    def _aims(self, still):
        """The next queries to bring rows for: some of `still`, and all in turn."""
        preferred = self.random.sample(still, min(AIMED // 2, len(still)))
        count = AIMED - len(preferred)
        while len(self.aims) < count:
            self.aims += self.random.sample(sorted(self.texts), len(self.texts))
        in_turn, self.aims = self.aims[:count], self.aims[count:]
        return preferred + in_turn

    def _varied(self, table):
        rows = [list(row) for row in self._rows(table)]
        for row in rows:
            self.vary(table, row)
        return rows + self.waiting.pop(table, [])

    def _came(self):
        """A table, rows of it that came for a query, and the query; None, now and then."""
        if not self.combined or self.random.random() < 0.3:
            return None
        query, rows = self.combined.pop(self.random.randrange(len(self.combined)))
        table = self.random.choice(sorted(rows.keys() & set(self.often)) or sorted(rows))
        return table, rows[table], self.texts[query]

    def _key(self, table):
        return [self.positions[table][name] for name in self.keys[table]]

    def _rows(self, table):
        """A few rows, others each time."""
        count = self.random.randint(1, self.rows_max)
        return sample(self.random, self.database, table, self.keys[table], count)

    def _condition(self, table, rows):
        """The condition that a row has one of these keys."""
        key = list(zip(self.keys[table], self._key(table)))
        one = (
            " AND ".join(f"{name} = {literal(row[position])}" for name, position in key)
            for row in rows
        )
        return " OR ".join(f"({condition})" for condition in one)

    def _deletion(self, table, rows, _):
        """Deletes rows, which come back later."""
        self.waiting.setdefault(table, []).extend(rows)
        return f"DELETE FROM {table} WHERE {self._condition(table, rows)}"

    def _update(self, table, rows, text):
        """Gives one column of some rows, one that a query names if any, another row's value."""
        free = [name for name, _ in self.columns[table] if name not in self.keys[table]]
        named = [name for name in free if re.search(rf"\b{name}\b", text)]
        name = self.random.choice(named or free)
        value = literal(self._rows(table)[0][self.positions[table][name]])
        return f"UPDATE {table} SET {name} = {value} WHERE {self._condition(table, rows)}"


def sample(random, database, table, key, count):
    """So many rows of a table, others each time."""
    salt = random.randrange(1 << 30)
    query = f"SELECT * FROM {table} ORDER BY hash({', '.join(key)}, {salt}) LIMIT {count}"
    return database.execute(query).fetchall()


def by_key(rows, key, others=()):
    """Rows of which none has the key of another, where the last one stays, or of some others."""
    keyed = {tuple(row[position] for position in key): row for row in rows}
    for other in others:
        keyed.pop(tuple(other[position] for position in key), None)
    return list(keyed.values())
