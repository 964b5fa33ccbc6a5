"""A card as Markdown: the `README.md` of an export. Nothing here imports TensorFlow."""

from __future__ import annotations

from typing import Any

import yaml


def markdown(card: Any) -> str:
    """What people read of a card."""
    shape = ", ".join("any" if size is None else str(size) for size in card.example_shape)
    trained = f", trained on {card.data.name}: {card.data.description}" if card.data else ""
    configuration = yaml.safe_dump(card.model_dump(mode="json")["configuration"], sort_keys=False, allow_unicode=True)
    names = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    return f"""# {card.name}

A variational auto-encoder ({card.method}){trained}.
TensorFlow alone loads it:

```python
import tensorflow as tf

model = tf.saved_model.load("path/to/this/folder")
codes = model.encode(x)  # {card.noun} [n, {shape}]: {_values(card)}
codes["loc"], codes["scale"]  # the posteriors' means and standard deviations, [n, {card.latent_dim}] each
```

{_endpoints(card, shape)}

As a layer of a Keras model of yours it cannot be trained, and must say so, `trainable=False`: Keras would hand the
optimiser copies of its weights that get no gradient.

```python
x = keras.Input(({shape.replace("any", "None")},), dtype="{card.types[0]}")
codes = keras.layers.TFSMLayer("path/to/this/folder", call_endpoint="encode", trainable=False)(x)
classifier = keras.Model(x, keras.layers.Dense(10)(codes["loc"]))
```

## Metrics

{_metrics(card)}

## Data

{_data(card)}

## Configuration

```yaml
{configuration.rstrip()}
```

## Origin

{"Trained and exported" if card.data else "Exported"} with {names}.
Licence of the weights: {card.licence}. Checksum over the SavedModel's files: `{card.checksum}`.
"""


def _values(card: Any) -> str:
    """Which arrays go in."""
    if card.support == "categories":
        return f"whole numbers, {' or '.join(card.types)}"
    floats = "numbers from 0 to 1" if card.support == "unit_interval" else "finite numbers"
    if card.domain["name"] != "images":
        return f"{floats}, {' or '.join(card.types)}"
    return "uint8 from 0 to 255, or floats" + (
        " from 0 to 1" if card.support == "unit_interval" else ": 0 black, 1 white"
    )


def _endpoints(card: Any, shape: str) -> str:
    """The table of endpoints, with what holds for all of them."""
    takes = f"{card.noun} [n, {shape}]"
    unit = ", pixels from 0 to 1" if card.domain["name"] == "images" else ""
    rows = {
        "encode": f"| `encode` (also `serving_default`) | {takes} | `loc`, `scale` |",
        "decode": f"| `decode` | z [n, {card.latent_dim}] | `mean` of p(x\\|z){unit} |",
        "reconstruct": f"| `reconstruct` | {takes} | `mean` of p(x\\|z) for z = `loc` |",
        "sample": "| `sample` | n, seed | `mean` of p(x\\|z) for n draws z ~ p(z); the same for the same seed |",
    }
    table = "\n".join(row for name, row in rows.items() if name not in card.left_out)
    first, *others = card.types
    more = (
        f"; {' and '.join(f'`encode_{name}`, `reconstruct_{name}` take {name}' for name in others)}" if others else ""
    )
    lines = [
        "| endpoint | takes | gives |",
        "|---|---|---|",
        table,
        "",
        "Any batch size; an empty batch gives an empty answer. What has another shape, or values that no example can",
        f"have, is refused. As signatures, `encode` and `reconstruct` take {first}{more}.",
    ]
    loc, scale = card.domain.get("loc"), card.domain.get("scale")
    if loc is not None or scale is not None:
        lines += [
            "",
            "Examples go in in their own units. Reconstructions and samples are standardised, (x − loc) / scale for",
            f"each entry of the last axis, with loc = {loc or 0} and scale = {scale or 1}.",
        ]
    lines += [f"\nThere is no `{name}`: {reason}." for name, reason in card.left_out.items()]
    return "\n".join(lines)


def _data(card: Any) -> str:
    if card.data is None:
        return "Not known: the model was exported by itself."
    splits = ", ".join(f"{role} `{split}`" for role, split in card.data.splits.items())
    home = f" [Home page]({card.data.homepage})." if card.data.homepage else ""
    return f"{card.data.name}, {splits}. Licence of the {card.noun}: {card.data.licence}.{home}"


def _metrics(card: Any) -> str:
    if not card.metrics:
        return "Not measured."
    lines = ["| split | metric | value | unit | examples | how |", "|---|---|---:|---|---:|---|"]
    for split, figures in card.metrics.items():
        for name, figure in figures.items():
            value = f"{figure.value:.4g}" + ("" if figure.error is None else f" ± {figure.error:.2g}")
            lines.append(
                f"| {split} | `{name}` | {value} | {figure.unit} | {figure.examples:,} | {figure.note or '–'} |"
            )
    return "\n".join(lines)
