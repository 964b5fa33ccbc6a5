"""What tables of papers name and the zoo does not have yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.data.catalogue import CATALOGUE
from zoo.models import METHODS
from zoo.networks import NETWORKS

# Named in the papers' tables and not built yet. A row that needs one is listed as such until the zoo has it.
PLANNED = {
    "method": ("adversarial", "folding", "hierarchical", "info", "infomax", "lagging", "semi_amortized", "skip"),
    "network": ("folding", "lstm", "nvae", "pixelcnn", "resnet"),
    "data set": ("shapenet", "yahoo", "yelp"),
}


def not_built(values: dict[str, Any]) -> str:
    """What a configuration needs and the zoo does not have yet, in words; empty where it has all."""

    def names(value: Any) -> list[str]:
        values = value if isinstance(value, list) else [value]
        return [str(v.get("name") if isinstance(v, dict) else v) for v in values]

    model = values.get("model", {})
    wanted: dict[str, tuple[list[str], Mapping[str, Any]]] = {
        "method": (names(model.get("method")), METHODS),
        "network": (names(model.get("network")), NETWORKS),
        "data set": (names(values.get("data", {})), CATALOGUE),
    }
    return ", ".join(
        f"{kind} {name}"
        for kind, (given, known) in wanted.items()
        for name in given
        if name not in known and name in PLANNED[kind]
    )
