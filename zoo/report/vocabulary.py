"""The names that a paper's table may use: metrics that an evaluation gives, and what the zoo does not have yet."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from zoo.data.catalogue import CATALOGUE
from zoo.models import METHODS, claims
from zoo.networks import NETWORKS

# Named in the papers' tables and not built yet. A row that needs one is listed as such until the zoo has it.
PLANNED = {
    "method": ("adversarial", "folding", "hierarchical", "info", "infomax", "lagging", "semi_amortized", "skip"),
    "network": ("folding", "lstm", "nvae", "pixelcnn", "resnet"),
    "data set": ("shapenet", "yahoo", "yelp"),
}
# The group of `zoo evaluate --metrics` that gives a metric; whatever is not named here is a term of the objective.
GROUPS = {
    "mutual_information": "information",
    "marginal_kl": "information",
    "active_units": "information",
    "rate_per_unit": "information",
    "unit_variances": "information",
    "info_nce_bound": "information",
    "decoder_sensitivity": "information",
    "consistency": "consistency",
    "knn_accuracy": "knn",
    "linear_accuracy": "linear",
    "softmax_accuracy": "softmax",
    "svm_accuracy": "svm",
    "nll": "nll",
    "bits_per_dimension": "nll",
}
# Not measured on images, but read off the training.
OF_TRAINING = ("training_hours", "training_factor")
# Another sign of a metric.
NEGATED = {
    "negative_elbo": "elbo",
    "negative_elbo_optimal_prior": "elbo_optimal_prior",
    "negative_elbo_tuned_prior": "elbo_tuned_prior",
}


@functools.cache
def known_metrics() -> frozenset[str]:
    """All metrics that a column may have: those of an evaluation, of a training, and with another sign."""
    terms = {"loss", "elbo", *(term for method in METHODS for term in claims(method))}
    priors = {f"{term}_{prior}_prior" for term in ("rate", "elbo") for prior in ("optimal", "tuned", "chosen")}
    return frozenset(terms | priors | {*GROUPS, *OF_TRAINING, *NEGATED})


def not_built(values: dict[str, Any]) -> str:
    """What a configuration needs and the zoo does not have yet, in words; empty where it has all."""

    def names(value: Any) -> list[str]:
        values = value if isinstance(value, list) else [value]
        return [str(v.get("name") if isinstance(v, dict) else v) for v in values]

    model = values.get("model", {})
    wanted: dict[str, tuple[list[str], Mapping[str, Any]]] = {
        "method": (names(model.get("method")), METHODS),
        "network": (names(model.get("network")), NETWORKS),
        "data set": (names(values.get("data", {})), CATALOGUE),
    }
    return ", ".join(
        f"{kind} {name}"
        for kind, (given, known) in wanted.items()
        for name in given
        if name not in known and name in PLANNED[kind]
    )
