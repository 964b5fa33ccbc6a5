"""Exports for LiteRT, formerly TensorFlow Lite: one file with the signatures `encode` and `decode`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.export.formats import FORMS
from zoo.export.quiet import quiet

(FILE,) = FORMS["litert"].files


def convert(functions: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, str]]:
    """The file of concrete functions by name, and which of them are left out, with the reason.

    Args:
        functions: `encode`, which must not be missing, and perhaps others (see `zoo.export.plain_graph`).

    Returns:
        Contents by file name; reasons by function name.

    Raises:
        ValueError: `encode` has an operation that LiteRT does not have.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as scratch, quiet():
        tf.saved_model.save(tf.Module(), scratch, signatures=dict(functions))
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch, signature_keys=[*functions])
        try:
            return {FILE: converter.convert()}, {}
        except Exception as error:  # The converter's own, which has no public name.
            reason = _reason(error)
    if [*functions] == ["encode"]:
        raise ValueError(f"encode: {reason}")
    # All are converted at once. If `encode` alone can be, it was another one that could not.
    files, _ = convert({"encode": functions["encode"]})
    return files, dict.fromkeys(functions.keys() - {"encode"}, reason)


def answers(files: Mapping[str, bytes], name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a signature gives, by LiteRT's interpreter.

    Args:
        files: contents by name.
        name: of the signature.
        inputs: by name.
    """
    with quiet():
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(model_content=files[FILE]).get_signature_runner(name)(**inputs)


def _reason(error: Exception) -> str:
    if found := re.search(r"'?tf\.(\w+)(?:' op|\()", str(error)):
        return f"it has the operation {found.group(1)}, which LiteRT does not have in this form"
    return (str(error).splitlines() or [type(error).__name__])[0]
