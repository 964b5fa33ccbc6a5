"""Metrics of latent-variable models, on arrays or on a model; information is in nats.

The names load their modules when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.metrics.annealed import annealed_negative_log_likelihood
    from zoo.metrics.info_nce import info_nce_bound, info_nce_bound_by_example
    from zoo.metrics.information import (
        RateDecomposition,
        RateTerms,
        active_units,
        decompose_rate,
        decompose_rate_by_example,
        marginal_kl,
        mutual_information,
        rate,
        rate_per_unit,
        unit_variances,
    )
    from zoo.metrics.likelihood import (
        ImportanceWeighted,
        UnreliableEstimateWarning,
        importance_weighted,
        negative_log_likelihood,
    )
    from zoo.metrics.linear import Spectrum, beta_limits, kept_units, learned_variance, spectrum
    from zoo.metrics.printed import (
        mutual_information_in_batches,
        mutual_information_in_batches_by_example,
        self_comparison,
        self_comparison_by_batch,
    )
    from zoo.metrics.probes import few_label_accuracies, knn_accuracy, linear_accuracy, svm_accuracy
    from zoo.metrics.sensitivity import consistency, decoder_sensitivity
    from zoo.metrics.shapes import chamfer_distance
    from zoo.metrics.softmax import softmax_accuracy
    from zoo.metrics.units import bits_per_dimension, perplexity

__all__ = [
    "ImportanceWeighted",
    "RateDecomposition",
    "RateTerms",
    "Spectrum",
    "UnreliableEstimateWarning",
    "active_units",
    "annealed_negative_log_likelihood",
    "beta_limits",
    "bits_per_dimension",
    "chamfer_distance",
    "consistency",
    "decoder_sensitivity",
    "decompose_rate",
    "decompose_rate_by_example",
    "few_label_accuracies",
    "importance_weighted",
    "info_nce_bound",
    "info_nce_bound_by_example",
    "informative_units",
    "kept_units",
    "knn_accuracy",
    "learned_variance",
    "linear_accuracy",
    "marginal_kl",
    "mutual_information",
    "mutual_information_in_batches",
    "mutual_information_in_batches_by_example",
    "negative_log_likelihood",
    "perplexity",
    "rate",
    "rate_per_unit",
    "self_comparison",
    "self_comparison_by_batch",
    "softmax_accuracy",
    "spectrum",
    "svm_accuracy",
    "unit_variances",
]

_ELSEWHERE = {
    "ImportanceWeighted": "likelihood",
    "Spectrum": "linear",
    "UnreliableEstimateWarning": "likelihood",
    "annealed_negative_log_likelihood": "annealed",
    "beta_limits": "linear",
    "bits_per_dimension": "units",
    "chamfer_distance": "shapes",
    "consistency": "sensitivity",
    "decoder_sensitivity": "sensitivity",
    "few_label_accuracies": "probes",
    "importance_weighted": "likelihood",
    "info_nce_bound": "info_nce",
    "info_nce_bound_by_example": "info_nce",
    "kept_units": "linear",
    "knn_accuracy": "probes",
    "learned_variance": "linear",
    "linear_accuracy": "probes",
    "mutual_information_in_batches": "printed",
    "mutual_information_in_batches_by_example": "printed",
    "negative_log_likelihood": "likelihood",
    "perplexity": "units",
    "self_comparison": "printed",
    "self_comparison_by_batch": "printed",
    "softmax_accuracy": "softmax",
    "spectrum": "linear",
    "svm_accuracy": "probes",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'information')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
