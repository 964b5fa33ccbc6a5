"""What the data of a configuration allow, before any training: how many units a linear VAE would keep of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.doctor.advice import Remedy, command
from zoo.experiments.schema import Experiment
from zoo.metrics.linear import Spectrum, beta_limits, kept_units, learned_variance, spectrum

if TYPE_CHECKING:
    from zoo.data import Examples
    from zoo.doctor.rehearsal import Rehearsal

# The principal components are those of so many images at most, and of so many values (200 MB of memory, twice).
EXAMPLES = 10_000
VALUES = 50_000_000
# A component with a smaller share of the variance is rounding.
NOTHING = 1e-6


class Row(NamedTuple):
    """What it takes to keep so many units: β or σ² below a limit, the other as it is; None where it is learned."""

    units: int
    component: float
    beta: float
    variance: float | None


class Outlook(NamedTuple):
    """What a configuration's data allow.

    Attributes:
        likelihood: its name; for others than Gaussian ones there is a spectrum and no statement.
        kept: units that a linear VAE keeps, None without a statement.
        latent_dim: units there are.
        beta: weight of the rate.
        variance: σ², the learned one's prediction where it is learned.
        learned: whether σ² is learned.
        spectrum: of the training images.
        rows: for every number of units from 1 to `latent_dim`; empty without a statement.
        notes: on what the statement rests.
        rehearsal: the first steps of the training, where they were tried.
    """

    likelihood: str
    kept: int | None
    latent_dim: int
    beta: float
    variance: float | None
    learned: bool
    spectrum: Spectrum
    rows: list[Row]
    notes: list[str]
    rehearsal: Rehearsal | None = None

    @property
    def summary(self) -> str:
        """The verdict in a sentence."""
        if self.rehearsal is not None and self.rehearsal.verdict != "healthy":
            return f"the first {len(self.rehearsal.norms)} steps ruin this training: {self.rehearsal.verdict}"
        if self.kept is None:
            return f"no statement on units: the theory is of Gaussian decoders, and this one is {self.likelihood}"
        if not self.kept:
            return "a linear VAE would collapse on these data: no principal component has a variance above β·σ²"
        some = "all" if self.kept == self.latent_dim else "only" if self.kept < self.latent_dim else ""
        return f"a linear VAE would keep {some} {self.kept} of {self.latent_dim} units on these data"


def foresee(experiment: Experiment, training: Examples | None = None) -> Outlook:
    """Looks at the training split of a configuration.

    Args:
        experiment: the configuration.
        training: its training split, where it has been read already.

    Raises:
        ValueError: no such data.
    """
    from zoo.data.pixels import binarize_once
    from zoo.experiments.building import feature_domain, load_split

    model = experiment.model
    examples = training or load_split(experiment, "train")
    images = examples.images
    n, features = len(images), math.prod(images.shape[1:])
    count = min(n, EXAMPLES, max(2, VALUES // features))
    notes = []
    if count < n:
        notes.append(f"principal components of {count:,} of {n:,} training examples, drawn at random")
        images = images[np.sort(np.random.default_rng(0).choice(n, count, replace=False))]
    if (domain := feature_domain(experiment, examples)) is not None:
        # As the model is trained on them.
        images = domain.prepare(images).numpy()
    if experiment.data.binarize == "dynamic":
        images = binarize_once(images, seed=0, split="doctor")
    found = spectrum(images, model.latent_dim)
    name, beta = model.likelihood["name"], float(model.beta)
    if name != "gaussian":
        return Outlook(name, None, model.latent_dim, beta, None, False, found, [], [*notes, *unclipped(experiment)])
    learned = bool(model.likelihood["learned"])
    variance = learned_variance(found, model.latent_dim, beta) if learned else float(model.likelihood["variance"])
    kept = model.latent_dim if not variance else kept_units(found.variances, model.latent_dim, variance, beta)
    limits = beta_limits(found, model.latent_dim, None if learned else variance)
    components = np.zeros(model.latent_dim)
    components[: len(found.variances)] = found.variances
    rows = [
        Row(i + 1, float(component), float(limit), None if learned else float(component / beta) if beta else math.inf)
        for i, (component, limit) in enumerate(zip(components, limits, strict=True))
    ]
    return Outlook(name, kept, model.latent_dim, beta, variance, learned, found, rows, [*notes, *_caveats(experiment)])


def _caveats(experiment: Experiment) -> list[str]:
    found = ["a decoder that is not linear may keep other units, and training may lose what the optimum keeps"]
    found += unclipped(experiment)
    if experiment.model.method != "vae":
        found.append("what the method adds to the β-ELBO is not looked at")
    return found


def unclipped(experiment: Experiment) -> list[str]:
    """A sentence where the configuration does not clip gradients."""
    if experiment.train.clip_norm is not None:
        return []
    optimizer = experiment.train.optimizer
    return [
        f"gradients are not clipped: under {optimizer.name} at a rate of {optimizer.learning_rate:g}, and with a loss "
        "that sums over all entries of an example, the first steps can saturate the output for good; try --steps 20"
    ]


def verdict(outlook: Outlook) -> str:
    """The same words as of a run, or `unknown` where nothing can be said."""
    if outlook.rehearsal is not None and outlook.rehearsal.verdict != "healthy":
        return outlook.rehearsal.verdict
    if outlook.kept is None:
        return "unknown"
    return "collapsed" if not outlook.kept else "partial" if outlook.kept < outlook.latent_dim else "healthy"


def to_keep(outlook: Outlook, source: str, changes: list[str]) -> list[Remedy]:
    """The settings that would keep as many units as the data have components; nothing where all are kept already.

    Args:
        outlook: of the configuration.
        source: its name or path.
        changes: settings that were applied to it.
    """
    rows = [row for row in outlook.rows if row.component > NOTHING * outlook.spectrum.total]
    if outlook.kept is None or not rows or outlook.kept >= rows[-1].units:
        return []
    row, found = rows[-1], []
    for key, limit in (("model.beta", row.beta), ("model.likelihood.variance", row.variance)):
        if limit is not None:
            settings = [*(each for each in changes if not each.startswith(f"{key}=")), f"{key}={below(limit)}"]
            why = f"a linear VAE would keep {row.units} units"
            found.append(Remedy(why, settings, command(source, settings)))
    return found


def below(limit: float) -> str:
    """A positive number in three digits, just below a limit that must not be reached."""
    scale = 10.0 ** (2 - math.floor(math.log10(limit)))
    return f"{math.floor(limit * scale * 0.999) / scale:.4g}"
