"""The code of the documentation runs as it stands."""

import re
import sys
import types
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("page", ["extending"])
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S)
    assert blocks
    # As if it were imported, so that its classes are found again by their names.
    module = types.ModuleType(page)
    monkeypatch.setitem(sys.modules, page, module)
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        exec(compile("\n" * line + block, f"docs/{page}.md", "exec"), vars(module))
