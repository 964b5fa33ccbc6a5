"""The notebooks of examples/: they run from first to last cell, and are stored with what they show."""

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="requirements-dev.txt has what runs notebooks")
nbclient = pytest.importorskip("nbclient", reason="requirements-dev.txt has what runs notebooks")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))
# What a cell of each must print.
SHOWN = {
    "own_images": ["active units: 16 of 16", "codes of the export differ by at most"],
    "own_method": ["λ = 100.0: distortion", "# InfoVAE", "exact 0.1975"],
    "rate_is_zero": [
        "runs/mean: ",
        "the error a mean over them",
        "next to nothing",
        "runs/sum: no collapse",
        "sum: rate",
    ],
}


def printed(notebook) -> str:
    outputs = [one for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error"]
    return "\n".join(one.get("text") or str(one.get("data", "")) for one in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_what_it_shows(path):
    stored = printed(nbformat.read(path, 4))
    assert all(text in stored for text in SHOWN[path.stem])
    assert "/tmp/" not in stored and "/home/" not in stored and path.stat().st_size < 500_000


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    notebook = nbformat.read(path, 4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=900, coalesce_streams=True, resources=resources).execute()
    ran = printed(notebook)
    assert all(text in ran for text in SHOWN[path.stem])
