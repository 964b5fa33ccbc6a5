"""`index.json`: the list of all exports under a folder, from their cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.export.card import CARD, Card
from zoo.files import replacing

INDEX = "index.json"


def cards(exports: Path) -> dict[str, Card]:
    """The cards of all exports under a folder, by their path in it, sorted.

    Raises:
        ValueError: a card is damaged.
    """
    found = (path.parent.parent for path in exports.rglob(CARD.as_posix()))
    visible = (path for path in found if not any(p.startswith(".") for p in path.relative_to(exports).parts))
    return {path.relative_to(exports).as_posix(): Card.read(path) for path in sorted(visible)}


def update_index(exports: Path) -> Path:
    """Writes `index.json`, the list of all exports under a folder.

    Returns:
        The file's path.

    Raises:
        ValueError: a card is damaged.
    """
    with replacing(exports / INDEX) as sibling:
        text = json.dumps({"exports": entries(exports)}, indent=2, ensure_ascii=False)
        sibling.write_text(text + "\n", encoding="utf-8")
    return exports / INDEX


def entries(exports: Path) -> list[dict[str, Any]]:
    """What `index.json` says of each export: name, data, method, metrics with errors, size in bytes, checksum.

    Raises:
        ValueError: a card is damaged.
    """
    found = []
    for name, card in cards(exports).items():
        kept = card.model_dump(
            mode="json",
            include={"method", "example_shape", "latent_dim", "metrics", "format", "stored", "command", "checksum"},
            exclude_none=True,
        )
        size = sum(path.stat().st_size for path in (exports / name).rglob("*") if path.is_file())
        entry: dict[str, Any] = {"name": name, "summary": card.summary(), "bytes": size}
        found.append({**entry, **({"data": card.data.name} if card.data else {}), **kept})
    return found
