"""What every figure is called, its unit, which way is better, and what of `zoo evaluate` gives it: the one table.

Terminal, TensorBoard, evaluations, reports and tables of papers all read it. Importing it loads nothing heavy.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Better = Literal["higher", "lower"]

PROBES = ("knn", "linear", "softmax", "svm")
GROUPS = ("terms", "information", "consistency", *PROBES, "nll")
"""Of `zoo evaluate --metrics`, in the order in which they are measured."""

TRAINING = "training"
"""The group of what is no measurement on images, but read off the training."""


class Name(NamedTuple):
    """A row of the table.

    Attributes:
        label: in words.
        unit: such as `nats`; `fraction` for a share of the examples; empty for a count, and for a rate of learning.
        group: of `GROUPS`, or `TRAINING`; empty for what only a history has.
        better: which way is better; None where neither is.
        short: over a column, where the label is too long for it.
        minus: the figure that this one is with another sign, where it is.
    """

    label: str
    unit: str = "nats"
    group: str = "terms"
    better: Better | None = None
    short: str = ""
    minus: str = ""

    @property
    def heading(self) -> str:
        """Over a column: short."""
        return self.short or self.label

    @property
    def titled(self) -> str:
        """The label with the unit behind it, where that says more: `rate (nats)`, `active units`."""
        return self.label if self.unit in {"", "fraction"} else f"{self.label} ({self.unit})"


# What is not here is a term of the objective, in nats.
NAMES = {
    "nll": Name("negative log-likelihood", group="nll", better="lower", short="NLL"),
    "bits_per_dimension": Name("bits per dimension", "bits", "nll", "lower"),
    "loss": Name("loss", better="lower"),
    "elbo": Name("ELBO", better="higher"),
    "distortion": Name("distortion", better="lower"),
    "sum_of_squares": Name("sum of squares", "squared pixels", better="lower"),
    "rate": Name("rate"),
    "triplet": Name("triplet", "squared distance of codes"),
    "mutual_information": Name("mutual information", group="information", better="higher", short="MI"),
    "marginal_kl": Name("marginal KL", group="information", better="lower", short="KL(q(z) ‖ p(z))"),
    "info_nce_bound": Name("InfoNCE bound", group="information", better="higher"),
    "mutual_information_in_batches": Name(
        "mutual information within batches", group="information", better="higher", short="MI in batches"
    ),
    # Neither is better high or low: it is no information, and what it leaves of the rate is no divergence.
    "self_comparison": Name("self-comparison, printed as MI", group="information", short="self-comparison"),
    "rate_beyond_self_comparison": Name(
        "rate less self-comparison, printed as marginal KL", group="information", short="KL − self-comparison"
    ),
    "active_units": Name("active units", "", "information", "higher"),
    "informative_units": Name("informative units", "", "information", "higher"),
    "rate_per_unit": Name("rate per unit", group="information"),
    "unit_variances": Name("variances of the units", "squared units of z", "information"),
    "decoder_sensitivity": Name("decoder's sensitivity", "share of variance", "information"),
    "consistency": Name("consistency", group="consistency", better="lower"),
    "knn_accuracy": Name("KNN accuracy", "fraction", "knn", "higher", "KNN"),
    "linear_accuracy": Name("linear accuracy", "fraction", "linear", "higher", "linear"),
    "linear_accuracy_100": Name("linear accuracy, 100 labels", "fraction", "linear", "higher", "linear, 100 labels"),
    "svm_accuracy": Name("SVM accuracy", "fraction", "svm", "higher", "SVM"),
    "softmax_accuracy": Name("softmax accuracy", "fraction", "softmax", "higher", "softmax"),
    "learning_rate": Name("learning rate", "", group=""),
    "rate_reductions": Name("reductions of the learning rate", "", group=""),
    "training_hours": Name("hours of training", "hours", TRAINING, "lower"),
    "step_milliseconds": Name("milliseconds of a step", "ms", TRAINING, "lower", "ms a step"),
    "training_factor": Name("training time against the first row", "", TRAINING, "lower"),
    "negative_elbo": Name("negative ELBO", better="lower", minus="elbo"),
    "negative_elbo_optimal_prior": Name("negative ELBO, optimal prior", better="lower", minus="elbo_optimal_prior"),
    "negative_elbo_tuned_prior": Name("negative ELBO, tuned prior", better="lower", minus="elbo_tuned_prior"),
}


def named(metric: str) -> Name:
    """The row of a figure; that of a method's term, on an image or on its transformation, where the table has none."""
    if metric in NAMES:
        return NAMES[metric]
    kept = NAMES.get(metric.removeprefix("transformed_"), Name(""))
    return Name(metric.replace("_", " "), kept.unit)
