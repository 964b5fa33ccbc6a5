"""A report as a folder: Markdown, CSV, LaTeX, a page, and figures."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.files import replacing
from zoo.report.content import Report
from zoo.report.writers.csv import csv
from zoo.report.writers.latex import latex
from zoo.report.writers.markdown import markdown

_GENERATOR = '<meta name="generator" content="zoo report">'
# How often a folder is looked at that other processes replace meanwhile.
_LOOKS = 10
_FILES = ("report.md", "report.csv", "report.tex", "report.html")


def write(c: Report, folder: Path) -> Path:
    """Writes `report.md`, `report.csv`, `report.tex`, `report.html` and `figures/`.

    The folder appears whole: it is written beside the old report, which it then replaces.

    Args:
        c: the report.
        folder: to write; its parents are made.

    Returns:
        The folder.

    Raises:
        ValueError: the folder holds anything but a report, or two figures bear one name.
    """
    from zoo.report.writers.page import page

    names = [picture.name for picture in c.illustrations]
    for name in names:
        if names.count(name) > 1 or name != Path(name).name:
            raise ValueError(f"{folder}: the figure {name!r} needs a name of its own that is a file's")
    check_replaceable(folder)
    with replacing(folder) as sibling:
        (sibling / "figures").mkdir(parents=True)
        for file, text in zip(_FILES, (markdown(c), csv(c), latex(c), page(c)), strict=True):
            (sibling / file).write_text(text, encoding="utf-8")
        for picture in c.illustrations:
            (sibling / "figures" / f"{picture.name}.png").write_bytes(picture.png)
            (sibling / "figures" / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
    return folder


def check_replaceable(folder: Path) -> None:
    """Refuses a folder that is not a report's, for replacing it would delete somebody's files, or that cannot be made.

    Raises:
        ValueError: one line that names the folder, and what stands in the way.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; a report is written as a folder")
    for _ in range(_LOOKS):
        try:
            stranger = _stranger(folder)
            break
        except FileNotFoundError:
            # Another process has just put its report in the place of this one.
            continue
    else:
        raise ValueError(f"{folder}: is being written by other processes; wait for them")
    if stranger:
        raise ValueError(f"{folder}: holds {stranger}, which is no part of a report; name a new or an empty folder")
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ValueError(f"{folder}: cannot be written, because {above} cannot")


def _stranger(folder: Path) -> str | None:
    """The first name in a folder that is no part of a report, if there is one."""
    inside = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    page = inside.get("report.html")
    ours = page is not None and _GENERATOR in page.read_text(encoding="utf-8", errors="replace")[:2000]
    for name, path in inside.items():
        known = name in (*_FILES, "figures") or (path.parent.name == "figures" and path.suffix in {".png", ".svg"})
        if not ours or not known:
            return name
    return None
