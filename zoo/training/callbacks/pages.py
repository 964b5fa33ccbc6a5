"""What TensorBoard's pages show: names of curves, columns of the HParams page, and charts of the Custom Scalars page.

TensorBoard opens the first two groups of curves, in alphabetical order; so they are grouped by what they mean, training
beside validation. It takes the columns of the HParams table from one run of many, whichever comes first, and merges the
layouts of all. So runs that are to be compared are given the same columns and terms; what a run has nothing for stays
empty.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from tensorboard.plugins.custom_scalar import layout_pb2, summary
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from zoo.metrics.names import named

# A chart for each of these metrics, by group; what is in none is a term of the objective.
GROUPS = {
    "information": ("mutual_information", "active_units", "rate", "marginal_kl"),
    "objective": ("elbo", "loss", "distortion", "sum_of_squares"),
    "probes": ("knn_accuracy",),
    "recipe": ("learning_rate", "rate_reductions"),
}
# Measured on held-out examples alone, or in training alone: their curves need no split in their names.
ALONE = ("mutual_information", "active_units", "marginal_kl", "knn_accuracy", "learning_rate", "rate_reductions")
# The metrics in the HParams table, the last epoch's and those of `zoo evaluate`; it opens on the first five.
METRICS = (
    *((name, "validation") for name in ("mutual_information", "active_units")),
    ("nll", "test"),
    *((name, "validation") for name in ("elbo", "rate", "distortion", "marginal_kl", "knn_accuracy")),
    *((name, "test") for name in ("mutual_information", "active_units", "elbo", "knn_accuracy", "linear_accuracy")),
)
# The table opens on five hyperparameters: those that are said to differ, in the order of their names, which are these.
FIRST = {
    "method": "method",
    "model.beta": "β",
    "model.latent_dim": "latent units",
    "train.optimizer.learning_rate": "learning rate",
    "train.seed": "seed",
}


def tag(metric: str, split: str) -> str:
    """The name of a curve: `information/rate train`, `objective/elbo validation`, `information/active_units`.

    TensorBoard's cards show what stands behind the slash, and take the front away where there is no room for both.
    """
    group = next((group for group, metrics in GROUPS.items() if metric in metrics), "objective")
    return f"{group}/{metric}" if metric in ALONE else f"{group}/{metric} {split}"


def measured(figure: str, split: str) -> str:
    """The name of a figure of `zoo evaluate`: `test/nll`."""
    return f"{split}/{figure}"


def layout(terms: Iterable[str] = ()) -> Any:
    """The summary that gives the Custom Scalars page its charts, each with training and validation.

    Args:
        terms: of the methods; those that have no chart of their own share one of the objective's.
    """
    charts = {group: [_chart(named(metric).label, [metric]) for metric in metrics] for group, metrics in GROUPS.items()}
    if others := [term for term in terms if not any(term in metrics for metrics in GROUPS.values())]:
        charts["objective"].append(_chart("terms of the methods", others))
    return summary.pb(
        layout_pb2.Layout(category=[layout_pb2.Category(title=name, chart=those) for name, those in charts.items()])
    )


def _chart(title: str, metrics: Iterable[str]) -> Any:
    # TensorBoard asks whether a tag begins with the pattern.
    patterns = [f"{tag(metric, '').rstrip()}( |$)" for metric in metrics]
    return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=patterns))


def _data_type(annotation: Any) -> int:
    """TensorBoard's type of a column; what is not always a number is text."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _data_type(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        kinds = {_data_type(each) for each in typing.get_args(annotation) if each is not types.NoneType}
        return kinds.pop() if len(kinds) == 1 else api_pb2.DATA_TYPE_STRING
    if annotation is bool:
        return api_pb2.DATA_TYPE_BOOL
    return api_pb2.DATA_TYPE_FLOAT64 if annotation in {int, float} else api_pb2.DATA_TYPE_STRING


def columns(values: Mapping[str, Any], annotations: Mapping[str, Any] | None = None) -> dict[str, int]:
    """The columns of the HParams table with TensorBoard's types.

    Args:
        values: a run's hyperparameters; each has a column.
        annotations: types of the columns that all runs have, by name; they go before those of the values.
    """
    kinds = {name: type(value) for name, value in values.items()} | dict(annotations or {})
    return {name: _data_type(kind) for name, kind in kinds.items()}


def experiment(names: dict[str, int], metrics: Iterable[tuple[str, str]] = METRICS) -> Any:
    """The summary that gives the HParams table its columns: hyperparameters, and metrics by name and split."""
    return hparams_summary.experiment_pb(
        hparam_infos=[
            api_pb2.HParamInfo(name=name, type=kind, display_name=FIRST.get(name, name), differs=name in FIRST)
            for name, kind in names.items()
        ],
        metric_infos=[
            api_pb2.MetricInfo(
                name=api_pb2.MetricName(tag=(tag if split == "validation" else measured)(metric, split)),
                display_name=_heading(metric, split),
            )
            for metric, split in metrics
        ],
    )


def _heading(metric: str, split: str) -> str:
    name = named(metric)
    unit = "" if name.unit in {"", "fraction"} else f" ({name.unit})"
    return f"{name.heading}{unit}, {split}"


def session(values: dict[str, Any], names: dict[str, int]) -> dict[str, bool | float | str]:
    """A run's hyperparameters as the table takes them: lists as one word, text where the column holds text."""
    shown: dict[str, bool | float | str] = {}
    for name, value in values.items():
        # A list, such as the methods of a combination, is shown as one word.
        one = "+".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(one, bool | int | float | str) and name in names:
            shown[name] = str(one) if names[name] == api_pb2.DATA_TYPE_STRING else one
    return shown
