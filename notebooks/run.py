"""Runs notebooks and writes them with what they show.

  python run.py OUTPUT_FOLDER [NOTEBOOK …]      all notebooks of this folder where none is named
"""

import asyncio
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


async def run(path: Path, output: Path) -> None:
    """Runs one from its first cell on; an exception of a cell ends everything."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(HERE)}}
    await NotebookClient(notebook, timeout=300, record_timing=False, resources=where).async_execute()
    # What differs between machines says nothing about the notebook.
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, output / path.name)
    print(f"{path.name} ran")


async def run_all(output: Path, paths: list[Path]) -> None:
    """Runs them side by side."""
    output.mkdir(parents=True, exist_ok=True)
    await asyncio.gather(*(run(path, output) for path in paths))


if __name__ == "__main__":
    asyncio.run(run_all(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]] or sorted(HERE.glob("*.ipynb"))))
