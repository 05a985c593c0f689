"""Writes results into a page of the documentation, between two marks."""

import pathlib
import re


def write(arguments, results):
    page = pathlib.Path(arguments.document)
    text = page.read_text()
    begin, end = f"<!-- {arguments.benchmark} -->", f"<!-- end of {arguments.benchmark} -->"
    marked = re.compile(rf"{begin}\n.*?{end}", re.DOTALL)
    assert marked.search(text), f"{page} has no {begin} … {end}"
    generated = f"{begin}\n{table(arguments, results)}{end}"
    page.write_text(marked.sub(lambda _: generated, text))


def table(arguments, results):
    equal = sum(not (result.refusal or result.differences) for result in results.values())
    lines = [
        f"{equal} of {len(results)} equal DuckDB's answer at first and after each of "
        f"{arguments.transactions} transactions (seed {arguments.seed}).",
        "",
        "| query | live view | rows at most | answer changed | created in |",
        "|---|---|---:|---:|---:|",
    ]
    for name, result in results.items():
        kept = "equal"
        if result.differences:
            kept = f"differs after {len(result.differences)} of {result.compared}"
        if result.refusal:
            kept = f"refused: {result.refusal}"
        lines.append(
            f"| {name} | {kept} | {result.rows} | {result.changed} × | {result.create_ms} ms |"
        )
    return "\n".join(lines) + "\n"
