"""An exported signature without what refuses bad input, which neither LiteRT nor ONNX has operations for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf


def plain(signature: Any) -> Any:
    """The same function without assertions and without the care for empty batches; its weights are constants.

    What goes is what `zoo.export.endpoints` puts around a network: assertions, and an example that fills up an empty
    batch and is cut off again. It goes from the graph and not from the code, so that exports of earlier versions can be
    converted, and without their Keras model.

    Args:
        signature: a concrete function of an export, such as `loaded.signatures["encode"]`.

    Returns:
        A concrete function with the same names of inputs and outputs.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(signature, lower_control_flow=False)
    graph = frozen.graph.as_graph_def()
    nodes = {node.name: node for node in graph.node}
    for node in graph.node:
        data = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(data)
        # Paddings of a network's own are constants.
        fills_up = node.op in ("Pad", "PadV2") and not _is_constant(nodes, node.input[1])
        if fills_up or node.op in ("EnsureShape", "PlaceholderWithDefault"):
            _pass_on(node)
    outputs = dict(zip(sorted(signature.structured_outputs), (tensor.name for tensor in frozen.outputs), strict=True))
    for name in outputs.values():
        node = _node(nodes, name)
        while node.op == "Identity":
            node = _node(nodes, node.input[0])
        if node.op == "StridedSlice" and not _is_constant(nodes, node.input[2]):
            _pass_on(node)
    graph = _needed(graph, nodes, outputs.values())
    given = {tensor.name.partition(":")[0]: tensor.name for tensor in frozen.inputs}
    (_, specs) = signature.structured_input_signature

    def without_assertions(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        mapping = {given[name]: value for name, value in inputs.items()}
        return dict(zip(outputs, tf.graph_util.import_graph_def(graph, mapping, [*outputs.values()]), strict=True))

    return tf.function(without_assertions, autograph=False).get_concrete_function(**specs)


def _node(nodes: dict[str, Any], tensor: str) -> Any:
    return nodes[tensor.partition(":")[0]]


def _is_constant(nodes: dict[str, Any], tensor: str) -> bool:
    return _node(nodes, tensor).op == "Const"


def _pass_on(node: Any) -> None:
    """Makes a node hand on its first input."""
    kind = (node.attr["dtype"] if "dtype" in node.attr else node.attr["T"]).type
    node.op = "Identity"
    del node.input[1:]
    node.attr.clear()
    node.attr["T"].type = kind


def _needed(graph: Any, nodes: dict[str, Any], outputs: Iterable[str]) -> Any:
    """The graph without nodes on which no output depends: operations with an effect would run even so."""
    needed, open_ = set(), [name.partition(":")[0] for name in outputs]
    while open_:
        if (name := open_.pop()) not in needed:
            needed.add(name)
            open_ += [source.partition(":")[0] for source in nodes[name].input]
    found = type(graph)(library=graph.library, versions=graph.versions)
    # An input stays, used or not.
    found.node.extend(node for node in graph.node if node.name in needed or node.op == "Placeholder")
    return found
