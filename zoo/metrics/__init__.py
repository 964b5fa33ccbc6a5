"""Metrics of latent-variable models, on arrays or on a model; information is in nats.

The names load their modules when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.metrics.information import (
        RateDecomposition,
        active_units,
        decompose_rate,
        marginal_kl,
        mutual_information,
        rate,
        rate_per_unit,
        unit_variances,
    )
    from zoo.metrics.likelihood import negative_log_likelihood
    from zoo.metrics.probes import knn_accuracy, linear_accuracy

__all__ = [
    "RateDecomposition",
    "active_units",
    "decompose_rate",
    "knn_accuracy",
    "linear_accuracy",
    "marginal_kl",
    "mutual_information",
    "negative_log_likelihood",
    "rate",
    "rate_per_unit",
    "unit_variances",
]

_ELSEWHERE = {
    "knn_accuracy": "probes",
    "linear_accuracy": "probes",
    "negative_log_likelihood": "likelihood",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'information')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
