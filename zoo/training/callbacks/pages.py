"""What TensorBoard's pages HParams and Custom Scalars show.

TensorBoard takes the columns of the HParams table from one run of many, whichever comes first, and merges the layouts
of all. So runs that are to be compared are given the same columns and terms; what a run has nothing for stays empty.
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

# Tags of held-out images that the HParams table has columns for.
METRICS = ("elbo", "distortion", "rate", "mutual_information", "marginal_kl", "active_units", "knn_accuracy")
# A chart for each of these tags, by category.
CHARTS = {
    "information": ("mutual_information", "active_units", "rate", "marginal_kl"),
    "objective": ("elbo", "loss", "distortion", "sum_of_squares"),
    "probes": ("knn_accuracy",),
}


def layout(terms: Iterable[str] = ()) -> Any:
    """The summary that gives the Custom Scalars page its categories: information, objective and probes.

    Args:
        terms: of the methods; those that have no chart of their own share one of the objective's.
    """
    charts = {category: [_chart(named(tag).label, [tag]) for tag in tags] for category, tags in CHARTS.items()}
    if others := [term for term in terms if not any(term in tags for tags in CHARTS.values())]:
        charts["objective"].append(_chart("terms of the methods", others))
    return summary.pb(
        layout_pb2.Layout(category=[layout_pb2.Category(title=name, chart=those) for name, those in charts.items()])
    )


def _chart(title: str, tags: Iterable[str]) -> Any:
    # TensorBoard asks whether a tag begins with the pattern.
    return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"{tag}$" for tag in tags]))


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


def experiment(names: dict[str, int], metrics: Iterable[str] = METRICS) -> Any:
    """The summary that gives the HParams table its columns: hyperparameters, and metrics of held-out images."""
    return hparams_summary.experiment_pb(
        hparam_infos=[api_pb2.HParamInfo(name=name, type=kind) for name, kind in names.items()],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=named(tag).titled) for tag in metrics
        ],
    )


def session(values: dict[str, Any], names: dict[str, int]) -> dict[str, bool | float | str]:
    """A run's hyperparameters as the table takes them: lists as one word, text where the column holds text."""
    shown: dict[str, bool | float | str] = {}
    for name, value in values.items():
        # A list, such as the methods of a combination, is shown as one word.
        one = "+".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(one, bool | int | float | str) and name in names:
            shown[name] = str(one) if names[name] == api_pb2.DATA_TYPE_STRING else one
    return shown
