"""Exports for ONNX: a file for each of `encode` and `decode`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

# The newest that tf2onnx writes.
_OPSET = 18


def convert(functions: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of concrete functions by name, and which of them are left out, with the reason.

    Args:
        functions: `encode`, which must not be missing, and perhaps others (see `zoo.export.plain_graph`).

    Returns:
        Contents by file name; reasons by function name.

    Raises:
        ValueError: `encode` has an operation that cannot be converted.
    """
    files, left_out = {}, {}
    for name, function in functions.items():
        try:
            files[f"{name}.onnx"] = _converted(function)
        except ValueError as error:
            if name == "encode":
                raise ValueError(f"{name}: {error}") from None
            left_out[name] = str(error)
    return files, left_out


def answers(files: Mapping[str, bytes], name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a file gives, by onnxruntime.

    Args:
        files: contents by name.
        name: of the function.
        inputs: by name.
    """
    session = _session(files[f"{name}.onnx"])
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))


def _converted(function: Any) -> bytes:
    import tensorflow as tf
    import tf2onnx

    (_, specs) = function.structured_input_signature
    called = tf.function(
        lambda *values: function(**dict(zip(specs, values, strict=True))),
        input_signature=[*specs.values()],
        autograph=False,
    )
    with _errors() as errors:
        try:
            proto, _ = tf2onnx.convert.from_function(called, input_signature=[*specs.values()], opset=_OPSET)
            _mend_transposed_convolutions(proto.graph)
            for value in (*proto.graph.input, *proto.graph.output):
                value.type.tensor_type.shape.dim[0].dim_param = "n"
            content = proto.SerializeToString()
            # It refuses what is none of its operations, which tf2onnx leaves in the graph.
            _session(content)
        except Exception as error:  # Whatever tf2onnx, protobuf and onnxruntime raise.
            raise ValueError(_reason(error, errors)) from None
    return content


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _mend_transposed_convolutions(graph: Any) -> None:
    """Makes negative pads of transposed convolutions what ONNX has for them, `output_padding`.

    tf2onnx computes the pads from the size of the output, below zero where that is greater than what the kernel
    reaches: an output padding, which TensorFlow puts at the end of each axis.

    Args:
        graph: of ONNX, changed in place.
    """
    from onnx import helper

    for node in graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        pads = list(attributes["pads"].ints) if node.op_type == "ConvTranspose" and "pads" in attributes else []
        if min(pads, default=0) >= 0:
            continue
        axes = len(pads) // 2
        totals = [pads[axis] + pads[axis + axes] for axis in range(axes)]
        kept = [[0 if total < 0 else pads[i + axis] for axis, total in enumerate(totals)] for i in (0, axes)]
        attributes["pads"].ints[:] = kept[0] + kept[1]
        node.attribute.append(helper.make_attribute("output_padding", [max(-total, 0) for total in totals]))


@contextmanager
def _errors() -> Iterator[list[str]]:
    """What tf2onnx logs as errors meanwhile, which it does not always raise; it is not shown."""
    found: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                found.append(record.getMessage())

    logger, handler = logging.getLogger("tf2onnx"), Kept()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


def _reason(error: Exception, errors: list[str]) -> str:
    for line in errors:
        if found := re.search(r"op \[.*: (\w+)\] is not supported|convert node .*\.onnx_opset\.\w+\.(\w+)'", line):
            return (
                f"it has the operation {found.group(1) or found.group(2)}, which tf2onnx does not convert in this form"
            )
    return (str(error).splitlines() or [type(error).__name__])[0]
