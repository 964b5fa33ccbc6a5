"""The `README.md` beside an export in the form of LiteRT or ONNX. Nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.export.card import Card
from zoo.export.readme import escape, fenced

_CODE = {
    "litert": """from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert

model = Interpreter("path/to/this/folder/model.tflite")
codes = model.get_signature_runner("encode")(x=x)
codes["loc"], codes["scale"]  # the posteriors' means and standard deviations, [n, {latents}] each""",
    "onnx": """import onnxruntime  # pip install onnxruntime

model = onnxruntime.InferenceSession("path/to/this/folder/encode.onnx")
# The posteriors' means and standard deviations, [n, {latents}] each.
loc, scale = model.run(["loc", "scale"], {{"x": x}})""",
}
_NAMES = {"litert": "LiteRT", "onnx": "ONNX"}
_SHAPES = {
    "litert": "Nor does LiteRT look at shapes: it takes some others with as many numbers.\n"
    "A convolutional network fails on an empty batch.",
    "onnx": "The runtime refuses other shapes and types.",
}


def markdown(name: str, card: Card, left_out: Mapping[str, str]) -> str:
    """What people read of a converted export.

    Args:
        name: of the form, `litert` or `onnx`.
        card: of the export.
        left_out: endpoints that it does not have, with the reason.
    """
    shape = ", ".join("any" if size is None else str(size) for size in card.example_shape)
    missing = "".join(f"\nThere is no `{endpoint}`: {escape(reason)}.\n" for endpoint, reason in left_out.items())
    decode = (
        "" if "decode" in left_out else f"| `decode` | `z` [n, {card.latent_dim}], float32 | `mean` of p(x\\|z) |\n"
    )
    scaled = (
        "\nWhat `decode` gives is standardised, (x − loc) / scale for each entry of the last axis; `loc` and `scale` "
        "are on\nthe SavedModel's card, under `domain`.\n"
        if decode and _scaled(card)
        else ""
    )
    return f"""# {escape(card.name)}, for {_NAMES[name]}

A variational auto-encoder ({escape(card.method)}).

{fenced("python", _CODE[name].format(latents=card.latent_dim))}

| function | takes | gives |
|---|---|---|
| `encode` | `x`, {card.noun} [n, {shape}], {card.types[0]}: {_values(card)} | `loc`, `scale` |
{decode}{missing}{scaled}
It has no assertions: NaN, infinite numbers and numbers out of range, which the SavedModel refuses, give codes that mean
nothing. {_SHAPES[name]} Weights are in float32.

Made from the SavedModel with the checksum `{card.checksum}`,
whose card has data, metrics and configuration. On a few examples its numbers are the same
to 1e-4, as a share of those above 1.
"""


def _scaled(card: Card) -> bool:
    """Whether the networks see (x − loc) / scale."""
    return any(card.domain.get(name) is not None for name in ("loc", "scale"))


def _values(card: Card) -> str:
    """Which numbers go in."""
    if card.support == "categories":
        return "whole numbers"
    if _scaled(card):
        return "in their own units"
    if card.support != "unit_interval":
        return "finite numbers"
    return "from 0 to 1" + (", bytes divided by 255" if card.domain["name"] == "images" else "")
