"""Do other programs read our snapshots as they are?

Usage: python tests/read_snapshots.py DIRECTORY

For every view of a snapshot directory: the files of `latest` have the checksums and row counts of
the manifest; DuckDB, Polars and pandas read them and agree on the rows, and on the sums of all
numbers. Exits with 1 at the first difference. Needs duckdb, polars, pandas and pyarrow.
"""

import hashlib
import json
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.parquet


def check_files(directory: Path, manifest: dict) -> None:
    present = {path.name for path in directory.glob("*.parquet")}
    expected = {file["name"] for file in manifest["files"]}
    assert present == expected, f"{directory}: {present} is not {expected}"
    for file in manifest["files"]:
        path = directory / file["name"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest == file["sha256"], f"{path}: checksum {digest}"
        rows = pyarrow.parquet.ParquetFile(path).metadata.num_rows
        assert rows == file["rows"], f"{path}: {rows} rows"


def integers(manifest: dict) -> list[str]:
    return [column["name"] for column in manifest["schema"] if column["type"] == "Int64"]


def check_readers(directory: Path, manifest: dict) -> int:
    pattern = str(directory / "*.parquet")
    numbers = integers(manifest)
    sums = ", ".join(["count(*)"] + [f'sum("{name}")' for name in numbers])
    answer = duckdb.sql(f"SELECT {sums} FROM read_parquet('{pattern}')").fetchone()
    by_duckdb = [Decimal(value or 0) for value in answer]

    frame = polars.read_parquet(pattern)
    by_polars = [Decimal(frame.height)] + [Decimal(frame[name].sum() or 0) for name in numbers]
    assert by_polars == by_duckdb, f"{directory}: Polars {by_polars}, DuckDB {by_duckdb}"

    table = pandas.read_parquet(directory, dtype_backend="pyarrow")
    by_pandas = [Decimal(len(table))]
    by_pandas += [Decimal(int(table[name].sum(skipna=True))) for name in numbers]
    assert by_pandas == by_duckdb, f"{directory}: pandas {by_pandas}, DuckDB {by_duckdb}"

    assert by_duckdb[0] == manifest["rows"], f"{directory}: {by_duckdb[0]} rows"
    return manifest["rows"]


def main(root: Path) -> None:
    latest = sorted(root.glob("*/latest"))
    assert latest, f"{root} has no snapshots"
    for directory in latest:
        manifest = json.loads((directory / "_manifest.json").read_text())
        check_files(directory, manifest)
        rows = check_readers(directory, manifest)
        print(f"{manifest['view']}: {rows} rows, read by DuckDB, Polars and pandas")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
