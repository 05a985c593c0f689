"""Small transactions over tables with keys: rows go, come back, change and are replaced."""

from databases import insertion, literal


class Transactions:
    """Makes the statements of one transaction after the other.

    `often` are the tables that change most, `never` those that do not; `vary` changes a row of a
    table in place.
    """

    def __init__(self, random, database, columns, keys, often, never, vary, rows_max):
        self.random = random
        self.database = database
        self.columns = columns
        self.keys = keys
        self.often = often
        self.changing = sorted(columns.keys() - set(never))
        self.vary = vary
        self.rows_max = rows_max
        self.waiting = {}
        self.positions = {
            table: {name: position for position, (name, _) in enumerate(names)}
            for table, names in columns.items()
        }

    def step(self):
        """Rows of one table go or change by a statement, and rows of others come or are replaced.

        Only the first statement reads, because a transaction reads nothing once it has written.
        """
        tables = self.random.sample(self.often, min(3, len(self.often)))
        tables += self.random.sample(self.changing, 2)
        first, *others = dict.fromkeys(tables)
        statements = [self.random.choice([self._deletion, self._update])(first)]
        for table in others:
            rows = [list(row) for row in self._rows(table)]
            for row in rows:
                self.vary(table, row)
            rows += self.waiting.pop(table, [])
            statements.append(insertion(table, by_key(rows, self._key(table))))
        return statements

    def _key(self, table):
        return [self.positions[table][name] for name in self.keys[table]]

    def _rows(self, table):
        """A few rows, others each time."""
        count = self.random.randint(1, self.rows_max)
        salt = self.random.randrange(1 << 30)
        key = ", ".join(self.keys[table])
        query = f"SELECT * FROM {table} ORDER BY hash({key}, {salt}) LIMIT {count}"
        return self.database.execute(query).fetchall()

    def _condition(self, table, rows):
        """The condition that a row has one of these keys."""
        key = list(zip(self.keys[table], self._key(table)))
        one = (
            " AND ".join(f"{name} = {literal(row[position])}" for name, position in key)
            for row in rows
        )
        return " OR ".join(f"({condition})" for condition in one)

    def _deletion(self, table):
        rows = self._rows(table)
        self.waiting.setdefault(table, []).extend(rows)
        return f"DELETE FROM {table} WHERE {self._condition(table, rows)}"

    def _update(self, table):
        """Gives one column of some rows the value of another row."""
        rows = self._rows(table)
        free = [name for name, _ in self.columns[table] if name not in self.keys[table]]
        name = self.random.choice(free)
        value = literal(rows[0][self.positions[table][name]])
        return f"UPDATE {table} SET {name} = {value} WHERE {self._condition(table, rows)}"


def by_key(rows, key):
    """Rows of which none has the key of another."""
    return list({tuple(row[position] for position in key): row for row in rows}.values())
