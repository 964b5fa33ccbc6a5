"""Exports in the forms of LiteRT and ONNX: converted, compared with the export, and put beside a README."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.export import formats, formats_readme, serving
from zoo.export.card import README, Card
from zoo.export.encoding import load_export
from zoo.export.finding import checked
from zoo.files import replacing

TOLERANCE = 1e-4
"""By how much a converted number may differ from the export's, as a share of the latter where that is above 1."""

# With the names of their functions `convert` and `answers`, which take files' contents by name.
_RUNTIMES = {"litert": "zoo.export.litert", "onnx": "zoo.export.onnx_files"}
_BATCHES = (1, 3)


def write(export: Path, name: str, to: Path) -> Path:
    """Writes an export in another form.

    `litert` and `onnx` have `encode` and `decode`, for any batch size, with weights in float32. They refuse nothing: an
    export's assertions are no operations there. What was written has been run, by the runtime that will run it, and
    gives the export's numbers to `TOLERANCE`. It appears whole or not at all.

    Args:
        export: the folder of an export.
        name: of the form: `serving`, `litert` or `onnx`.
        to: the folder to write; under `serving` the model's, which gets another version.

    Returns:
        The folder that was written.

    Raises:
        ValueError: no export or a damaged one, an unknown form, a package that is missing, a folder that holds
            something else, a network with an operation that cannot be converted, or one that gives other numbers then.

    Warns:
        UserWarning: an endpoint that the form does not have, though the export does or could.
    """
    formats.require(name)
    formats.check_target(name, to)
    card = checked(export)
    try:
        if name == "serving":
            version = serving.put(export, to)
            for endpoint, reason in card.left_out.items():
                warnings.warn(f"{version}: has no {endpoint!r}: {reason}", stacklevel=2)
            return version
        return _write(export, card, name, to)
    except OSError as error:
        raise ValueError(f"{to}: cannot be written: {error.strerror or error}") from None


def _write(export: Path, card: Card, name: str, to: Path) -> Path:
    from zoo.export.plain_graph import plain

    # Signatures hold their variables by weak references.
    loaded = load_export(export)
    signatures = loaded.signatures
    wanted = [endpoint for endpoint in ("encode", "decode") if endpoint in signatures]
    runtime: Any = importlib.import_module(_RUNTIMES[name])
    try:
        files, left_out = runtime.convert({endpoint: plain(signatures[endpoint]) for endpoint in wanted})
    except ValueError as error:
        raise ValueError(f"{to}: cannot be written: {error}") from None
    left_out |= {endpoint: reason for endpoint, reason in card.left_out.items() if endpoint == "decode"}
    kept = [endpoint for endpoint in wanted if endpoint not in left_out]
    for endpoint in kept:
        try:
            found = _difference(signatures[endpoint], endpoint, runtime, files, card)
        except ValueError as error:
            raise ValueError(f"{to}: cannot be written: {error}") from None
        if not found <= TOLERANCE:
            raise ValueError(
                f"{to}: cannot be written: {endpoint} gives other numbers than the export, {found:.2g} apart"
            )
    for endpoint, reason in left_out.items():
        warnings.warn(f"{to}: has no {endpoint!r}: {reason}", stacklevel=3)
    with replacing(to) as sibling:
        sibling.mkdir()
        for file, content in files.items():
            (sibling / file).write_bytes(content)
        (sibling / README).write_text(formats_readme.markdown(name, card, left_out), encoding="utf-8")
    return to


def _difference(signature: Any, endpoint: str, runtime: Any, files: Mapping[str, bytes], card: Card) -> float:
    """The greatest one over a few batches of examples or codes."""
    import tensorflow as tf

    ((given, spec),) = signature.structured_input_signature[1].items()
    found = [0.0]
    for batch in _BATCHES:
        x = _examples(card, batch) if endpoint == "encode" else _codes(card, batch)
        x = x.astype(spec.dtype.as_numpy_dtype)
        expected = signature(**{given: tf.constant(x)})
        try:
            answered = runtime.answers(files, endpoint, {given: x})
        except Exception as error:  # Whatever the runtimes raise, of which some is no class of Python's own.
            raise ValueError(f"the runtime fails on {endpoint}: {str(error).partition(chr(10))[0]}") from None
        for part, value in expected.items():
            numbers = value.numpy()
            if answered[part].shape != numbers.shape:
                return float("inf")
            found.append(float(np.max(np.abs(answered[part] - numbers) / np.maximum(1, np.abs(numbers)), initial=0)))
    # NaN is no difference that `max` would find.
    return float(np.max(found))


def _examples(card: Card, n: int) -> np.ndarray:
    """Examples that an export takes, [n, …]."""
    generator, shape = np.random.default_rng(0), (n, *(size or 4 for size in card.example_shape))
    if card.support == "categories":
        return generator.integers(0, 2, shape)
    # Not at the ends of the interval, which rounding might pass.
    bounded = card.support == "unit_interval"
    x = generator.uniform(0.01, 0.99, shape) if bounded else generator.standard_normal(shape)
    loc, scale = (card.domain.get(name) for name in ("loc", "scale"))
    return x * (1 if scale is None else scale) + (0 if loc is None else loc)


def _codes(card: Card, n: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, card.latent_dim))
