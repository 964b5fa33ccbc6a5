"""What an evaluation measures, a function for each group of figures; importing it loads nothing heavy."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoo import data, metrics
from zoo.metrics.names import GROUPS, named
from zoo.metrics.thresholds import ACTIVE, FAINT
from zoo.parameters import nearest

if TYPE_CHECKING:
    from zoo.models.codec import Codes
    from zoo.models.vae import VAE

# Images that are encoded, and whose terms are taken, at a time.
_BATCH = 500
# Labels that a classifier of few labels knows.
_FEW = 100
# Examples among which the InfoNCE bound tells the true one.
_AMONG = 256


class Measured(NamedTuple):
    """A figure with what is needed to read it.

    Attributes:
        value: as measured; for a vector the sum or the mean of its entries, as the note says.
        unit: such as `nats`.
        examples: how many it was measured on.
        note: how it was estimated.
        error: standard error of a mean over examples; None where the figure is no such mean.
        values: the entries of a vector, such as one for each latent unit.
    """

    value: float
    unit: str
    examples: int
    note: str = ""
    error: float | None = None
    values: list[float] | None = None


def groups_to_measure(only: Iterable[str] = (), nll_samples: int = 0) -> tuple[str, ...]:
    """The groups that an evaluation measures, in the order of `GROUPS`.

    Args:
        only: of `GROUPS`; all by default.
        nll_samples: importance samples an image; 0 leaves the negative log-likelihood out.

    Raises:
        ValueError: an unknown group, or samples without a likelihood, or a likelihood without samples.
    """
    only = tuple(only)
    for name in only:
        if name not in GROUPS:
            raise ValueError(f"metrics: no {name!r}; {nearest(name, GROUPS)}")
    if "nll" in only and not nll_samples:
        raise ValueError("metrics: nll needs a number of samples (--nll-samples)")
    if only and "nll" not in only and nll_samples:
        raise ValueError(
            f"nll samples: {nll_samples} given (--nll-samples), but nll is not among the metrics asked for"
        )
    return tuple(name for name in GROUPS if name in (only or GROUPS) and (name != "nll" or nll_samples))


def accuracy_error(value: float, examples: int) -> float:
    """The standard error of an accuracy; also where all or none of the examples are right, it is not 0.

    The standard deviation of the rate's posterior Beta(k + 1, n − k + 1) after k of n right answers under a uniform
    prior: √(p̃(1 − p̃)/(n + 3)) with Laplace's p̃ = (k + 1)/(n + 2). The binomial √(p(1 − p)/n) for large n.
    """
    right = round(value * examples)
    p = (right + 1) / (examples + 2)
    return float(np.sqrt(p * (1 - p) / (examples + 3)))


def mean_of(values: Any, unit: str, note: str = "") -> Measured:
    """The mean of one value an example, [n], with its standard error (none for a single example)."""
    values = np.asarray(values, np.float64)
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Measured(float(values.mean()), unit, n, note, error)


class Subject:
    """A model on the data that it is measured on; what several groups need is computed once.

    Args:
        model: trained.
        train: what probes learn from.
        held_out: what everything is measured on.

    Raises:
        ValueError: images that the model does not take.
    """

    def __init__(self, model: VAE, train: data.Examples, held_out: data.Examples) -> None:
        model.check(held_out.images, "evaluate")
        self.model, self.train, self.held_out = model, train, held_out

    @cached_property
    def posteriors(self) -> Codes:
        """Of the held-out images: loc and scale, [n, d] each."""
        return self.model.posteriors(self.held_out.images, _BATCH)

    @cached_property
    def train_codes(self) -> np.ndarray:
        """The posterior means of the training images, [n, d]."""
        if self.train is self.held_out:
            return self.posteriors.loc
        return self.model.posteriors(self.train.images, _BATCH).loc

    @cached_property
    def term_values(self) -> dict[str, np.ndarray]:
        """Every term of the objective, the loss and the ELBO by name, one value for each held-out image, [n].

        The terms of `model.evaluate` in the same batches with the same noise, which only keeps their means.
        """
        import tensorflow as tf

        model, images = self.model, self.held_out.images
        # Only the training set's images have the numbers by which a classifier, or a queue of keys, knows them.
        numbered = (model.needs_index or model.takes_index) and self.held_out is self.train

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec([None, *images.shape[1:]], images.dtype), tf.TensorSpec([None], tf.int64)],
        )
        def objective(x: tf.Tensor, index: tf.Tensor) -> dict[str, tf.Tensor]:
            return model.objective({"x": x, "index": index} if numbered else x, training=False)

        model.reset_metrics()
        parts = []
        for start in range(0, len(images), _BATCH):
            x = tf.constant(images[start : start + _BATCH])
            parts.append(objective(x, tf.range(start, start + len(x), dtype=tf.int64)))
            model.evaluation_step.assign_add(1)
        model.reset_metrics()
        return {name: np.concatenate([part[name] for part in parts]).astype(np.float64) for name in parts[0]}


def terms(subject: Subject) -> dict[str, Measured]:
    """The terms of the objective, the loss and the ELBO; errors from the images' own values.

    Where a term sets the images of a batch against each other, its values depend on one another, and the error is
    a rough one. The consistency method's term is `consistency_term`: `consistency` is a group's figure, of one
    transformation for all methods.
    """
    size = min(_BATCH, len(subject.held_out.images))
    among = {"critic", "triplet"} | ({"info_nce"} if getattr(subject.model, "queue_size", None) == 0 else set())
    found = {}
    for name, values in subject.term_values.items():
        note = f"among batches of {size} images" if name in among else ""
        found[name] = mean_of(values, named(name).unit, note)
    if own := found.pop("consistency", None):
        found["consistency_term"] = own._replace(note="the method's own term and transformation")
    return found


def under_priors(subject: Subject, priors: dict[str, float]) -> dict[str, Measured]:
    """Rate and ELBO with N(0, v·I) in place of N(0, I), for each of the priors v by name."""
    found = {}
    for name, variance in priors.items():
        rate, note = metrics.rate(*subject.posteriors, prior_variance=variance), f"prior variance {variance:.4g}"
        found[f"rate_{name}_prior"] = mean_of(rate, "nats", note)
        found[f"elbo_{name}_prior"] = mean_of(-subject.term_values["distortion"] - rate, "nats", note)
    return found


def information(subject: Subject) -> dict[str, Measured]:
    """What the codes say about the images, unit by unit and together, and what the decoder makes of them."""
    loc, scale = subject.posteriors
    n, dim = loc.shape
    variance = subject.model.prior_variance
    split = metrics.decompose_rate_by_example(loc, scale, prior_variance=variance or 1.0)
    means = split.means()
    mutual = mean_of(split.mutual_information, "nats", f"cannot exceed log n = {np.log(n):.2f}")
    variances = metrics.unit_variances(loc)
    found = {"mutual_information": mutual._replace(value=means.mutual_information)}
    if variance is not None:
        found["marginal_kl"] = mean_of(split.marginal_kl, "nats")._replace(value=means.marginal_kl)
    if n > 1:
        among = min(_AMONG, n)
        note = f"among {among} examples: cannot exceed log {among} = {np.log(among):.2f}"
        found["info_nce_bound"] = mean_of(metrics.info_nce_bound_by_example(loc, scale, batch=among), "nats", note)
    found["active_units"] = Measured(metrics.active_units(loc), f"units of {dim}", n, f"variance of loc above {ACTIVE}")
    if variance is not None:
        rates = metrics.rate_per_unit(loc, scale, variance)
        note = f"active, and of a rate of {FAINT} nats or more"
        found["informative_units"] = Measured(
            metrics.informative_units(loc, scale, prior_variance=variance), f"units of {dim}", n, note
        )
        rate = mean_of(metrics.rate(loc, scale, variance), "nats", f"sum over units, the greatest {rates.max():.3g}")
        found["rate_per_unit"] = rate._replace(values=rates.tolist())
    found["unit_variances"] = Measured(
        float(variances.mean()), "squared units of z", n, "mean over units", values=variances.tolist()
    )
    try:
        sensitivity = metrics.decoder_sensitivity(subject.model, subject.held_out.images)
        found["decoder_sensitivity"] = Measured(sensitivity, "share of variance", n, "decoded codes against the images")
    except ValueError:
        pass  # images that are all alike have no variance to take a share of
    return found


def consistency(subject: Subject) -> dict[str, Measured]:
    """KL between the posteriors of an example and of its transformation, the domain's default for every method.

    Raises:
        ValueError: a domain without a default transformation.
    """
    layers = subject.model.domain.transformations()
    values = metrics.consistency(subject.model, subject.held_out.images, layers)
    note = ", ".join(getattr(layer, "words", type(layer).__name__) for layer in layers)
    return {"consistency": mean_of(values, "nats", note)}


def probe(subject: Subject, name: str) -> dict[str, Measured]:
    """The accuracy of one of `PROBES`, with its standard error (`accuracy_error`).

    Raises:
        ValueError: data or codes that the probe cannot learn from.
    """
    train, held_out = subject.train, subject.held_out
    if train.labels is None or held_out.labels is None:
        raise ValueError("the data have no labels, which a probe needs")
    if len(held_out.labels) == len(held_out.images) and not np.isin(held_out.labels, train.labels).any():
        raise ValueError("no class of this split occurs in the training split")
    codes = (subject.train_codes, train.labels, subject.posteriors.loc, held_out.labels)
    n, m = len(train.images), len(held_out.images)
    if name == "knn":
        neighbours = min(200, n)
        value = metrics.knn_accuracy(*codes, neighbours=neighbours)
        note = f"{neighbours} neighbours among {n:,} training codes"
        if neighbours > np.unique(train.labels, return_counts=True)[1].max():
            note += ", more than any class has: of little meaning"
    else:
        accuracy: dict[str, tuple[Callable[..., float], str]] = {
            "linear": (metrics.linear_accuracy, "logistic regression"),
            "softmax": (metrics.softmax_accuracy, "200 epochs of a softmax layer"),
            "svm": (metrics.svm_accuracy, "linear support vector machine"),
        }
        function, what = accuracy[name]
        value, note = function(*codes), f"{what} on {n:,} training codes"
    found = {f"{name}_accuracy": Measured(value, "fraction", m, note, accuracy_error(value, m))}
    if name == "linear":
        found |= _few_labels(codes)
    return found


def _few_labels(codes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> dict[str, Measured]:
    """The same from few labels, the mean over draws of them; nothing where there are not many times as many codes."""
    try:
        draws = metrics.few_label_accuracies(*codes, labels=_FEW)
    except ValueError:
        return {}
    note = f"logistic regression on {_FEW} labelled training codes, mean and error over {len(draws)} draws of them"
    return {f"linear_accuracy_{_FEW}": mean_of(draws, "fraction", note)._replace(examples=len(codes[3]))}


def likelihood(
    subject: Subject, samples: int, images: int, progress: Callable[[int], None] | None
) -> dict[str, Measured]:
    """−log p(x) by importance sampling on the first images, and in bits where pixels have levels to count."""
    x = subject.held_out.images[:images]
    with warnings.catch_warnings():
        # The note says it.
        warnings.simplefilter("ignore", metrics.UnreliableEstimateWarning)
        values, effective = metrics.importance_weighted(subject.model, x, samples, progress=progress)
    few, note = int((effective < 10).sum()), f"{samples} importance samples an image"
    doubt = f"; under 10 of them effective on {few:,} of {len(x):,} images, so it may be far too high" if few else ""
    found = {"nll": mean_of(values, "nats", note + doubt)}
    if levels := _levels(subject):
        bits = metrics.bits_per_dimension(values, int(np.prod(x.shape[1:])), levels)
        spread = f"density over 1/{levels}" if levels > 1 else "of binary pixels"
        found["bits_per_dimension"] = mean_of(bits, "bits", f"{note}, {spread}")
    return found


def _levels(subject: Subject) -> int | None:
    """The levels of a pixel that p(x|z) is a density of, 1 if it is their probability, None if it is neither.

    Grey pixels under a Bernoulli are no event; binary ones and floats under a Gaussian are no 256 levels.
    """
    from zoo.domains import Images
    from zoo.likelihoods import Bernoulli, Gaussian

    images, model = subject.held_out.images, subject.model
    if not isinstance(model.domain, Images):
        return None
    white = 1 if images.dtype.kind in "bf" else 255
    binary = all(np.isin(images[i : i + _BATCH], (0, white)).all() for i in range(0, len(images), _BATCH))
    if isinstance(model.likelihood, Bernoulli):
        return 1 if binary else None
    return 256 if isinstance(model.likelihood, Gaussian) and images.dtype == np.uint8 and not binary else None
