"""The two databases that must agree: Mainstem over the Postgres protocol, and DuckDB."""

import csv
import importlib
import math
import pathlib
import tempfile
from decimal import Decimal

import duckdb
import psycopg

# Our decimals against DuckDB's floats: both are of many digits, so this much is rounding.
RELATIVE = 1e-9
SHOWN = 3


def open_duckdb(extension):
    """A DuckDB in memory with one of its extensions, which PyPI has as a package."""
    package = importlib.import_module(f"duckdb_extension_{extension}")
    directory = pathlib.Path(package.__file__).parent
    [library] = directory.rglob(f"{extension}.duckdb_extension")
    database = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    database.execute(f"LOAD '{library}'")
    # As in Postgres and DataFusion: NULLs are the largest values.
    database.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
    return database


class Pair:
    """Mainstem and DuckDB with the same tables, changed by the same transactions."""

    def __init__(self, database, port):
        self.duckdb = database
        self.mainstem = psycopg.connect(
            f"host=127.0.0.1 port={port} user=test dbname=mainstem", autocommit=True
        )

    def create(self, table, columns, key):
        """Creates a table of Mainstem with DuckDB's columns and rows, and a key."""
        types = ", ".join(f"{name} {data_type}" for name, data_type in columns)
        self.mainstem.execute(f"CREATE TABLE {table} ({types}, PRIMARY KEY ({', '.join(key)}))")
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "rows.csv"
            self.duckdb.execute(f"COPY {table} TO '{path}' (HEADER false)")
            copied = self.mainstem.cursor()
            with copied.copy(f"COPY {table} FROM STDIN (FORMAT csv)") as rows:
                rows.write(path.read_bytes())
        [count] = self.duckdb.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert copied.rowcount == count, f"{table}: {copied.rowcount} of {count} rows are copied"

    def transaction(self, statements):
        """Runs statements in both as one transaction. For DuckDB, a row whose key is there
        already replaces it, as in Mainstem."""
        for database in (self.mainstem, self.duckdb):
            database.execute("BEGIN")
            for statement in statements:
                if database is self.duckdb:
                    statement = statement.replace("INSERT INTO", "INSERT OR REPLACE INTO", 1)
                database.execute(statement)
            database.execute("COMMIT")

    def compare(self, view, ours, theirs):
        """What differs between a live view and DuckDB's answer, or None; and that answer."""
        live = self.mainstem.execute(f"SELECT * FROM {view}").fetchall()
        expected = Answer(self.duckdb.execute(theirs))
        difference = expected.difference(live)
        if difference and not expected.difference(live, self.mainstem.execute(ours).fetchall()):
            difference += "\nMainstem's ad hoc answer is as the view's."
        return difference, expected


class Answer:
    """DuckDB's answer to a query."""

    def __init__(self, executed):
        self.is_float = [column[1] in ("DOUBLE", "FLOAT") for column in executed.description]
        self.rows = executed.fetchall()

    def difference(self, rows, others=None):
        """How a bag of rows differs from this answer, or from others of its types; or None."""
        return differing(rows, self.rows if others is None else others, self.is_float)

    def telling(self):
        """The number of rows that say something: not only NULLs and zeros."""
        return sum(any(row) for row in self.rows)


def load(database, table, rows):
    """Puts many rows into a table of DuckDB."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        csv.writer(file).writerows(rows)
        file.flush()
        database.execute(f"COPY {table} FROM '{file.name}' (HEADER false)")


def literal(value):
    """A value as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def insertion(table, rows):
    """The statement that inserts some rows."""
    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    return f"INSERT INTO {table} VALUES {values}"


def differing(rows, expected, is_float):
    """How two bags of rows differ, or None."""
    exact_first = sorted(range(len(is_float)), key=lambda column: is_float[column])

    def order(row):
        return [(row[column] is None, row[column] or 0) for column in exact_first]

    if len(rows) != len(expected):
        missing = [row for row in expected if row not in rows]
        extra = [row for row in rows if row not in expected]
        return (
            f"{len(rows)} rows instead of {len(expected)}; "
            f"missing {missing[:SHOWN]}, too many {extra[:SHOWN]}"
        )
    for row, other in zip(sorted(rows, key=order), sorted(expected, key=order)):
        if not all(map(equal, row, other)):
            return f"{row} instead of {other}"
    return None


def equal(value, expected):
    """Whether two values are the same; a float may differ by rounding, a decimal that stands for
    one by its last digit."""
    if value is None or expected is None or not isinstance(expected, float):
        return value == expected
    if math.isnan(expected):
        return math.isnan(value)
    tolerance = RELATIVE * max(abs(expected), 1e-9)
    if isinstance(value, Decimal):
        tolerance += 10.0 ** value.as_tuple().exponent
    return abs(float(value) - expected) <= tolerance
