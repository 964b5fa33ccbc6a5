"""Runs the notebooks of this folder and stores what they show: `python examples/make_notebooks.py [NAME…]`."""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from rich.progress import track

HERE = Path(__file__).parent


def main() -> None:
    """Runs each in a folder of its own; what libraries say on standard error is not stored."""
    # Commands in a notebook are those of this Python, and write no colours.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["TTY_COMPATIBLE"] = "0"
    paths = [HERE / f"{name}.ipynb" for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb"))
    for path in track(paths, "running notebooks"):
        notebook = nbformat.read(path, 4)
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(
                notebook, timeout=900, coalesce_streams=True, resources={"metadata": {"path": folder}}
            ).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            if cell.cell_type == "code":
                cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
        notebook.metadata.pop("language_info", None)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
