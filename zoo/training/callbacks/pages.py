"""What TensorBoard's pages HParams and Custom Scalars show, the same for every run, so that runs compare.

TensorBoard takes the columns of the HParams table from one run of many, whichever comes first, and merges the layouts
of all. So both speak of every method: columns that a run has nothing for stay empty in its row.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tensorboard.plugins.custom_scalar import layout_pb2, summary
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from zoo import models, networks
from zoo.experiments import schema

# Tags of held-out images that the HParams table has columns for, as they are called there.
METRICS = {
    "elbo": "ELBO (nats)",
    "distortion": "distortion (nats)",
    "rate": "rate (nats)",
    "mutual_information": "mutual information (nats)",
    "marginal_kl": "marginal KL (nats)",
    "active_units": "active units",
    "knn_accuracy": "KNN accuracy",
}

# Charts by category; a chart shows the tags that are named, where a run has them.
_INFORMATION = {
    "mutual information": ("mutual_information",),
    "active units": ("active_units",),
    "rate": ("rate",),
    "marginal KL": ("marginal_kl",),
}
_OBJECTIVE = {
    "ELBO": ("elbo",),
    "loss": ("loss",),
    "distortion": ("distortion",),
    "sum of squares": ("sum_of_squares",),
}
_PROBES = {"nearest neighbours": ("knn_accuracy",)}


def _terms() -> tuple[str, ...]:
    """The terms that the methods add to the bound's own."""
    shown = {tag for charts in (_INFORMATION, _OBJECTIVE) for tags in charts.values() for tag in tags}
    return tuple(dict.fromkeys(term for name in models.METHODS for term in models.claims(name) if term not in shown))


def layout() -> Any:
    """The summary that gives the Custom Scalars page its categories: information, objective and probes."""
    categories: dict[str, Mapping[str, tuple[str, ...]]] = {
        "information": _INFORMATION,
        "objective": {**_OBJECTIVE, "terms of the methods": _terms()},
        "probes": _PROBES,
    }
    charts: dict[str, list[Any]] = {
        # TensorBoard asks whether a tag begins with the pattern.
        name: [
            layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"{tag}$" for tag in tags]))
            for title, tags in content.items()
        ]
        for name, content in categories.items()
    }
    return summary.pb(
        layout_pb2.Layout(category=[layout_pb2.Category(title=name, chart=those) for name, those in charts.items()])
    )


def _columns() -> Iterator[tuple[str, Any]]:
    """(dotted key, annotation) of every hyperparameter that some configuration can have."""
    sections: dict[str, type[schema.Section]] = {"data": schema.Data, "train": schema.Train}
    nested: dict[str, type[schema.Section]] = {"train.optimizer": schema.Optimizer, "train.schedule": schema.Schedule}
    for name, section in (sections | nested).items():
        keys = {f"{name}.{key}": field.annotation for key, field in section.model_fields.items()}
        yield from ((key, annotation) for key, annotation in keys.items() if key not in nested)
    yield from (("model.method", str), ("model.network.name", str), ("model.likelihood.name", str))
    yield from (("model.likelihood.variance", float), ("model.likelihood.learned", bool))
    for name in networks.NETWORKS:
        yield from ((f"model.network.{key}", kind) for key, (kind, _) in schema.network_parameters(name).items())
    for name in models.METHODS:
        yield from ((f"model.{key}", kind) for key, (kind, _) in schema.method_parameters(name).items())


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


def columns(own: Iterable[str] = ()) -> dict[str, int]:
    """The columns of the HParams table with their types, and with text for those of `own` that are not among them."""
    known = {key: _data_type(annotation) for key, annotation in _columns()}
    return {**{key: api_pb2.DATA_TYPE_STRING for key in own if not key.startswith("watch.")}, **known}


def experiment(names: dict[str, int], metrics: Iterable[str] = METRICS) -> Any:
    """The summary that gives the HParams table its columns: hyperparameters, and metrics of held-out images."""
    return hparams_summary.experiment_pb(
        hparam_infos=[api_pb2.HParamInfo(name=name, type=kind) for name, kind in names.items()],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=METRICS[tag]) for tag in metrics
        ],
    )


def session(values: dict[str, Any], names: dict[str, int]) -> dict[str, bool | float | str]:
    """A run's hyperparameters as the table takes them: lists as one word, text where the column holds text.

    What is only about watching the run is left out.
    """
    shown: dict[str, bool | float | str] = {}
    for name, value in values.items():
        # A list, such as the methods of a combination, is shown as one word.
        one = "+".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(one, bool | int | float | str) and name in names:
            shown[name] = str(one) if names[name] == api_pb2.DATA_TYPE_STRING else one
    return shown
