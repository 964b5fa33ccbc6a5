"""A card as Markdown: the `README.md` of an export. Nothing here imports TensorFlow."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml


def escape(text: str) -> str:
    """Text that Markdown shows as it stands; underscores within a word are left alone, for they mean nothing."""
    text = " ".join(text.split())
    return re.sub(r"[\\`*|<>\[\]]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)", r"\\\g<0>", text)


def fenced(language: str, text: str) -> str:
    """A block of code, whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    """Code within a line, also within a table."""
    return "`" + " ".join(text.replace("`", "'").replace("|", r"\|").split()) + "`"


def markdown(card: Any) -> str:
    """What people read of a card."""
    shape = ", ".join("any" if size is None else str(size) for size in card.example_shape)
    trained = f", trained on {escape(card.data.name)}: {escape(card.data.description)}" if card.data else ""
    configuration = yaml.safe_dump(card.model_dump(mode="json")["configuration"], sort_keys=False, allow_unicode=True)
    names = ", ".join(escape(f"{name} {version}") for name, version in card.versions.items())
    return f"""# {escape(card.name)}

A variational auto-encoder ({escape(card.method)}){trained}.
{_portrait(card)}TensorFlow alone loads it:

```python
import tensorflow as tf

model = tf.saved_model.load("path/to/this/folder")
codes = model.encode(x)  # {card.noun} [n, {shape}]: {_values(card)}
codes["loc"], codes["scale"]  # the posteriors' means and standard deviations, [n, {card.latent_dim}] each
```

{_endpoints(card, shape)}

{_trainable(card)}As a layer of a Keras model of yours it cannot be trained, and must say so, `trainable=False`:
Keras would hand the optimiser copies of its weights that get no gradient.

```python
x = keras.Input({card.example_shape}, dtype="{card.types[0]}")
codes = keras.layers.TFSMLayer("path/to/this/folder", call_endpoint="encode", trainable=False)(x)
classifier = keras.Model(x, keras.layers.Dense(10)(codes["loc"]))
```

## Metrics

{_metrics(card)}

## Limits

{_limits(card)}

## Data

{_data(card)}

## Configuration

{fenced("yaml", configuration.rstrip())}

{_check(card)}## Origin

{"Trained and exported" if card.data else "Exported"} with {names}.{_command(card)}
Weights are stored in {card.stored}; the arithmetic is in float32. Format {card.format}.
Licence of the weights: {escape(card.licence)}. Checksum over the SavedModel's files: `{card.checksum}`.
{_citation(card)}"""


def _portrait(card: Any) -> str:
    if not card.portrait:
        return ""
    text = f"What it makes of test {card.noun}, samples of its prior, and the rate of each latent unit in nats"
    return f"\n![{escape(text)}](assets.extra/portrait.png)\n\n"


def _limits(card: Any) -> str:
    """What it is no good for, as far as its figures say."""
    of = f"{card.noun} like those it was trained on" if card.data else f"{card.noun} like those of its training"
    lines = [f"It knows {of}. It encodes others too, without a word: their codes mean nothing."]
    if means := [f"`{name}`" for name in ("decode", "reconstruct", "sample") if name not in card.left_out]:
        *others, last = means
        who = f"{', '.join(others)} and {last} give" if others else f"{last} gives"
        lines.append(f"{who} the means of p(x|z): they are smoother than any example is.")
    test = card.metrics.get("test", {})
    units, of_all = test.get("informative_units"), card.latent_dim
    if units and units.value < of_all:
        meaning = f" ({escape(units.note)})" if units.note else ""
        lines.append(
            f"Only {units.value:.0f} of its {of_all} units are informative{meaning}: leave the others out of distances."
        )
    if card.data:
        lines.append("It is one training. Another seed has other units, in another order, and somewhat other figures.")
    else:
        lines.append("Nobody has said on what it was trained, nor measured it.")
    return "\n".join(f"- {line}" for line in lines)


def _citation(card: Any) -> str:
    return f"\n## To cite\n\n{fenced('bibtex', card.bibtex)}\n" if card.bibtex else ""


def _trainable(card: Any) -> str:
    """How to go on training, where the Keras model lies beside."""
    if not card.trainable:
        return ""
    loaded = fenced(
        "python",
        f"import zoo\n\nmodel = zoo.load({json.dumps(card.name)})  # or the path of this folder\n"
        'model.compile(optimizer="adam")\nmodel.fit(x, epochs=3)',
    )
    return f"With the zoo it is a Keras model, to be trained on:\n\n{loaded}\n\n"


def _check(card: Any) -> str:
    """How to see whether it encodes here as where it was made."""
    if not card.codes:
        return ""
    code = fenced(
        "python",
        "import hashlib\n\nimport numpy as np\nimport tensorflow as tf\n\n"
        'model = tf.saved_model.load("path/to/this/folder")\n'
        'codes = model.encode(np.load("path/to/this/folder/assets.extra/examples.npz")["x"])\n'
        'tenths = [np.rint(codes[part].numpy().astype("f8") / 0.1).astype("<i4") for part in ("loc", "scale")]\n'
        'print("sha256:" + hashlib.sha256(b"".join(part.tobytes() for part in tenths)).hexdigest())',
    )
    return (
        "## Does it encode here as there?\n\nA few examples lie beside it. Their codes, rounded to tenths, have the "
        f"checksum `{card.codes}`:\n\n{code}\n\n"
    )


def _command(card: Any) -> str:
    return f"\nMade by: {_code(card.command)}." if card.command else ""


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
    more = f"; `encode_T` and `reconstruct_T` take T, for T = {' and '.join(others)}" if others else ""
    lines = [
        "| endpoint | takes | gives |",
        "|---|---|---|",
        table,
        "",
        "Any batch size; an empty batch gives an empty answer. What has another shape, or values that no example can",
        f"have, is refused. As signatures, `encode` and `reconstruct` take {first}{more}.",
    ]
    if {"loc", "scale"} & {name for name, value in card.domain.items() if value is not None}:
        lines += [
            "",
            "Examples go in in their own units. Reconstructions and samples are standardised, (x − loc) / scale for",
            "each entry of the last axis; `loc` and `scale` are in `assets.extra/card.json`, under `domain`.",
        ]
    if card.autoregressive:
        lines += [
            "",
            "The decoder looks at earlier entries of x: `reconstruct` gives each entry's mean given those before it in",
            "the example, `decode` and `sample` each entry's mean given the means before it.",
        ]
    lines += [f"\nThere is no `{name}`: {escape(reason)}." for name, reason in card.left_out.items()]
    return "\n".join(lines)


def _data(card: Any) -> str:
    if card.data is None:
        return "Not known: the model was exported by itself."
    splits = ", ".join(f"{role} {_code(split)}" for role, split in card.data.splits.items())
    home = f" [Home page]({card.data.homepage})." if card.data.homepage else ""
    licence = escape(card.data.licence)
    return f"{escape(card.data.name)}, {splits}. Licence of the {card.noun}: {licence}.{home}"


def _metrics(card: Any) -> str:
    if not card.metrics:
        return "Not measured."
    lines = ["| split | metric | value | unit | examples | how |", "|---|---|---:|---|---:|---|"]
    for split, figures in card.metrics.items():
        for name, figure in figures.items():
            value = f"{figure.value:.4g}" + ("" if figure.error is None else f" ± {figure.error:.2g}")
            unit, note = escape(figure.unit), escape(figure.note) or "–"
            lines.append(f"| {escape(split)} | {_code(name)} | {value} | {unit} | {figure.examples:,} | {note} |")
    return "\n".join(lines)
