"""In which formats a figure is written, by the ending of its file's name. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path

ENDINGS = ("png", "svg", "pdf")


def figure_ending(path: Path) -> str:
    """`png`, `svg` or `pdf`, by the name of a figure's file.

    Raises:
        ValueError: another ending.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        raise ValueError(
            f"{path}: a figure is written as .{', .'.join(ENDINGS)}, not as {path.suffix or 'a file without ending'}"
        )
    return ending
