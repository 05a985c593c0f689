"""Does a notebook run from top to bottom?

Usage: python tests/run_notebook.py NOTEBOOK

Runs the code of all cells in order, in one namespace, without a display. The error of a cell is
shown with the cell's number and ends the run.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")


def main(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    namespace: dict = {"__name__": "__main__"}
    for number, cell in enumerate(cells, 1):
        exec(compile("".join(cell["source"]), f"{path.name}, code cell {number}", "exec"), namespace)
    print(f"{path.name}: {len(cells)} cells ran")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
