"""Where an export lies: in a folder, among the zoo's own by its name, or on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from zoo.export import hub
from zoo.export.card import CARD, MODEL, Card, checksum
from zoo.export.index import cards
from zoo.parameters import PACKAGE, nearest

EXPORTS = PACKAGE.parent / "exports"
"""The zoo's own, in a checkout."""


def find(name: str | Path) -> Path:
    """The folder of an export.

    Args:
        name: a folder; the name of one of the zoo's, such as `digits/contrastive`; or `hf://owner/name`, which is
            fetched, once.

    Raises:
        ValueError: there is none; in one line, with the nearest name.
    """
    if str(name).startswith(hub.SCHEME):
        return hub.fetch(str(name))
    for folder in (Path(name), EXPORTS / name):
        if (folder / CARD).is_file():
            return folder
    if Path(name).exists():
        inside = f"; this run's is {Path(name) / 'export'}" if (Path(name) / "export" / CARD).is_file() else ""
        raise ValueError(f"{name}: not an export (it has no {CARD.as_posix()}){inside}")
    known = [*cards(EXPORTS)] if EXPORTS.is_dir() else []
    if not known:
        raise ValueError(
            f"{name}: no such folder, and no export of the zoo, which lie in the folder `exports` of its repository"
        )
    raise ValueError(f"no export {str(name)!r}; {nearest(str(name), known)}")


def is_export(name: str | Path) -> bool:
    """Whether a name is one of an export, and not, for example, of a run's directory; an address is not looked up."""
    if str(name).startswith(hub.SCHEME):
        return True
    if Path(name).exists():
        # A run of one's own at `digits/vae` comes before the zoo's export of that name.
        return (Path(name) / CARD).is_file()
    return (EXPORTS / name / CARD).is_file()


def checked(folder: Path) -> Card:
    """The card of an export whose files are as they were written.

    Raises:
        ValueError: no export, a damaged one, or one of a newer format.
    """
    card = Card.read(folder)
    if card.checksum != checksum(folder):
        raise ValueError(f"{folder}: damaged: its files do not have the checksum that its card states")
    return card


def keras_file(name: str | Path) -> Path:
    """The `.keras` file of an export or of a run, its export checked.

    Raises:
        ValueError: there is none, or the export is damaged.
    """
    run = Path(name)
    if (run / MODEL).is_file() and not (run / CARD).is_file():
        return run / MODEL
    folder = find(name)
    checked(folder)
    if not (folder / MODEL).is_file():
        raise ValueError(
            f"{folder}: holds no {MODEL}, which alone can be trained on; export it with: zoo export RUN --trainable"
        )
    return folder / MODEL
