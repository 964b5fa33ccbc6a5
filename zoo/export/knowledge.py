"""What a model knows of itself, as plain values for its card."""

from __future__ import annotations

import json
from typing import Any

from zoo.domains import DOMAINS

# Of every Keras layer; they say nothing of a method.
_KERAS = {"name", "trainable", "dtype"}


def examples(model: Any) -> dict[str, Any]:
    """What the model takes, by the names of a card's fields."""
    kind = type(model.domain).__name__
    name = next((name for name, known in DOMAINS.items() if known == kind), kind)
    return {
        "example_shape": model.example_shape,
        "latent_dim": model.latent_dim,
        "domain": {"name": name, **_plain(model.domain.get_config())},
        "noun": model.domain.noun,
        "types": model.domain.types,
        "support": model.likelihood.support,
    }


def hyperparameters(model: Any) -> dict[str, Any]:
    """The class, its methods and its hyperparameters, without networks: YAML can hold all of it."""
    import keras

    networks = {"encoder", "decoder", "domain"}
    config = {
        name: value
        for name, value in model.get_config().items()
        if name not in _KERAS | networks and not isinstance(getattr(model, name, None), keras.Model)
    }
    return {"class": type(model).__name__, **_plain(config)}


def _plain(value: Any) -> Any:
    """The value without what Keras needs to find its class again."""
    if isinstance(value, dict):
        if "class_name" in value and isinstance(config := value.get("config"), dict):
            rest = {name: one for name, one in config.items() if name not in _KERAS}
            return {"class": value["class_name"], **_plain(rest)}
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return json.loads(json.dumps(value, default=str))
