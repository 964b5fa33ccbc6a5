"""The figures of runs, a function each: reads models, data and histories, and hands arrays to `zoo.report.figures`.

The docstrings are the lines in which `zoo plot` lists them, the keywords their options; use `zoo.report.plots.plot`,
which checks both. Importing this module imports neither TensorFlow nor matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.experiments.run_directory import RunError
from zoo.parameters import nearest
from zoo.report.trained import Runs, chosen, model_of, same_but_for_seed

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from zoo.models.vae import VAE

METRICS = "mutual_information,rate,active_units"
# What is no sum of nats.
_UNITS = {"active_units": "", "learning_rate": "", "sum_of_squares": "squared pixels", "triplet": "squared distance"}


def _require(images: np.ndarray, least: int, figure: str, split: str) -> None:
    """Raises ValueError for fewer images than a figure takes."""
    if len(images) < least:
        raise ValueError(f"images: {figure} needs at least {least} of the {split} split, got {len(images)} (--images)")


def _posteriors(runs: Runs, images: np.ndarray) -> dict[str, Any]:
    return {label: model_of(run).posteriors(images) for label, run in runs.items()}


def tsne(runs: Runs, *, split: str = "test", images: int = 1000, seed: int = 0) -> Figure:
    """Codes by class in the plane of t-SNE."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed)
    _require(shown.images, 3, "tsne", split)
    found = _posteriors(runs, shown.images)
    return figures.tsne({label: (q.loc, shown.labels) for label, q in found.items()}, seed=seed)


def history(runs: Runs, *, split: str = "validation", metric: str = METRICS) -> Figure:
    """Metrics against epoch; seeds of one configuration as their mean with a band."""
    import numpy as np

    from zoo.report import figures
    from zoo.training.callbacks import record

    if split == "test":
        raise ValueError("split: a history has no 'test'; one of: train, validation")
    prefix = "val_" if split == "validation" else ""
    logs = {label: record.rows(run.metrics) for label, run in runs.items()}
    known = {key for rows in logs.values() for row in rows for key in row if key != "epoch"}
    names = {key.removeprefix(prefix) for key in known if key.startswith("val_") == bool(prefix)}
    for label, rows in logs.items():
        if not rows:
            path = runs[label].path
            raise RunError(f"{path}: has not finished an epoch yet; go on with: zoo train --resume {path}")
    metrics = [name.strip() for name in metric.split(",")]
    curves: dict[str, dict[str, list]] = {}
    for name in metrics:
        if name not in names:
            raise ValueError(f"metric: no {name!r} in the {split} history; {nearest(name, names)}")
        for label, seeds in same_but_for_seed(runs).items():
            with_it = [[row for row in logs[seed] if prefix + name in row] for seed in seeds]
            series = [tuple(np.array([row[k] for row in rows]) for k in ("epoch", prefix + name)) for rows in with_it]
            if all(with_it):
                curves.setdefault(name, {})[label] = series
    watched = {run.experiment().watch.images for run in runs.values()}
    n = max(watched)
    return figures.history(curves, _UNITS, {"mutual_information": (f"log {n} = {np.log(n):.2f}", float(np.log(n)))})


def grid(runs: Runs, *, split: str = "test", images: int = 400, seed: int = 0) -> Figure:
    """Images laid out by where t-SNE puts their codes."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    _require(shown, 3, "grid", split)
    found = _posteriors(runs, shown)
    return figures.image_map(shown, {label: figures.plane(q.loc, seed=seed) for label, q in found.items()})


def arrows(runs: Runs, *, split: str = "test", images: int = 40, seed: int = 0, projection: str = "pca") -> Figure:
    """Arrows from the codes of images to those of their transformations."""
    import tensorflow as tf

    from zoo.augmentation.affine import RandomAffine
    from zoo.augmentation.view import apply_views
    from zoo.data.pixels import to_unit_interval
    from zoo.randomness import Draws
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    _require(shown, 2, "arrows", split)
    # Of the first run that has some; all runs are shown the same transformed images.
    own = (getattr(model_of(run), "transformations", None) for run in runs.values())
    layers = next((found for found in own if found is not None), [RandomAffine()])
    x = to_unit_interval(tf.constant(shown))
    transformed = apply_views(layers, x, Draws(seed, 0, "plot"), "transformed").numpy()
    before, after = _posteriors(runs, shown), _posteriors(runs, transformed)
    return figures.arrows({label: (before[label].loc, after[label].loc) for label in runs}, projection, seed)


def noise(runs: Runs, *, split: str = "test", images: int = 1000, seed: int = 0) -> Figure:
    """Codes of data and of noise, and the two priors."""
    import numpy as np
    import tensorflow as tf

    from zoo.data.pixels import to_unit_interval
    from zoo.models.batch import Batch
    from zoo.report import figures

    x = to_unit_interval(tf.constant(chosen(runs, split, images, seed).images))
    models = {label: model_of(run) for label, run in runs.items()}
    contrasting = [model for model in models.values() if hasattr(model, "noise_images")]
    generator = np.random.default_rng(seed)
    # Models without noise of their own see that of the first which has some, or the paper's.
    noise_scale = contrasting[0].noise_scale if contrasting else 0.01
    gaussian = x + noise_scale * generator.standard_normal(x.shape, np.float32)
    found = {}
    for label, model in models.items():
        noise = gaussian
        if getattr(model, "noise", "gaussian") == "decoder":
            noise = model.noise_images(Batch(x, x), training=False)
        found[label] = (_draw(model, x, generator), _draw(model, noise, generator))
    return figures.data_and_noise(found, [1.0, *(model.K for model in contrasting[:1])])


def _draw(model: VAE, x: Any, generator: np.random.Generator) -> np.ndarray:
    """A sample of q(z|x) for each x, which noise may have driven out of the unit interval."""
    import numpy as np

    parts = [model.infer(x[i : i + 500]) for i in range(0, len(x), 500)]
    loc, scale = (np.concatenate(part) for part in zip(*((q.code(), q.scale()) for q in parts), strict=True))
    return loc + scale * generator.standard_normal(loc.shape)


def reconstructions(runs: Runs, *, split: str = "test", images: int = 20, seed: int = 0) -> Figure:
    """Images and what the models make of them."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    return figures.reconstructions(
        shown, {label: model_of(run).reconstruct(shown).numpy() for label, run in runs.items()}
    )


def samples(runs: Runs, *, images: int = 64, seed: int = 0) -> Figure:
    """Images decoded from samples of the prior."""
    from zoo.report import figures

    return figures.samples({label: model_of(run).sample(images, seed=seed).numpy() for label, run in runs.items()})


def interpolations(runs: Runs, *, split: str = "test", images: int = 6, seed: int = 0) -> Figure:
    """Straight walks between the codes of two images, which stand at the ends."""
    import numpy as np

    from zoo.domains.pictures import as_uint8
    from zoo.report import figures

    shown = chosen(runs, split, 2 * images, seed).images
    pairs = len(shown) // 2
    if not pairs:
        raise ValueError(f"plot: interpolations go from an image to another, the {split} split has {len(shown)}")
    ends = as_uint8(shown[: 2 * pairs]).reshape(pairs, 2, *shown.shape[1:])
    share = np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    found = {}
    for label, run in runs.items():
        model = model_of(run)
        codes = model.posteriors(shown).loc[: 2 * pairs].reshape(pairs, 2, 1, -1)
        walks = (1 - share) * codes[:, 0] + share * codes[:, 1]
        decoded = as_uint8(model.decode(walks.reshape(-1, walks.shape[-1])).numpy())
        inside = decoded.reshape(pairs, len(share), *shown.shape[1:])
        found[label] = np.concatenate([ends[:, :1], inside, ends[:, 1:]], axis=1)
    return figures.interpolations(found)


def traversals(runs: Runs, *, split: str = "test", images: int = 8, seed: int = 0, unit: int | None = None) -> Figure:
    """One unit changed: in several images (with a unit's number), or each of the units of most rate in one image."""
    import numpy as np

    from zoo import metrics
    from zoo.report import figures

    ((label, run),) = runs.items()
    model = model_of(run)
    posteriors = model.posteriors(chosen(runs, split, max(images, 1000), seed).images)
    rates = metrics.rate_per_unit(*posteriors)
    if unit is not None and not 0 <= unit < len(rates):
        raise ValueError(f"unit: {unit} given, the units of {label} are 0 to {len(rates) - 1}")
    values = np.linspace(-3, 3, 11)
    if unit is None:
        units = np.argsort(-rates, kind="stable")[:images]
        bases, names = (
            np.repeat(posteriors.loc[:1], len(units), axis=0),
            [f"unit {i}: {rates[i]:.2f} nats" for i in units],
        )
        title = f"{label}: the units of most rate, in one image"
    else:
        bases = posteriors.loc[:images]
        units, names = np.full(len(bases), unit), [""] * len(bases)
        title = f"{label}: unit {unit} ({rates[unit]:.2f} nats), in {len(bases)} images"
    codes = np.repeat(bases[:, None], len(values), axis=1)
    codes[np.arange(len(units)), :, units] = values
    decoded = model.decode(codes.reshape(-1, codes.shape[-1])).numpy()
    return figures.traversals(decoded.reshape(*codes.shape[:2], *decoded.shape[1:]), values, names, title)


def rate_per_unit(runs: Runs, *, split: str = "test", images: int = 2000, seed: int = 0) -> Figure:
    """The rate of each latent unit, in falling order."""
    from zoo import metrics
    from zoo.report import figures

    found = _posteriors(runs, chosen(runs, split, images, seed).images)
    return figures.rate_per_unit({label: metrics.rate_per_unit(*q) for label, q in found.items()})


def information(runs: Runs, *, split: str = "test", images: int = 10_000, seed: int = 0) -> Figure:
    """Estimates of mutual information and marginal KL against the number of samples."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    sizes = [size for size in (10, 50, 100, 500, 1000, 5000, 10_000, 20_000, 50_000) if size < len(shown)]
    sizes.append(len(shown))
    found = {label: information_by_size(*q, sizes=sizes, seed=seed) for label, q in _posteriors(runs, shown).items()}
    information, marginal = ({label: estimates[k] for label, estimates in found.items()} for k in (0, 1))
    return figures.information_by_samples(sizes, information, marginal)


def information_by_size(
    loc: np.ndarray, scale: np.ndarray, sizes: Sequence[int], seed: int = 0, subsets: int = 3
) -> np.ndarray:
    """Mutual information and marginal KL estimated on random subsets of posteriors, each within the next larger one.

    Args:
        loc: posterior means, [n, d].
        scale: posterior standard deviations, [n, d].
        sizes: of the subsets, at most n, [s].
        seed: of the subsets and of the estimator's draws.
        subsets: of each size; those of all n differ in the estimator's draws alone.

    Returns:
        `zoo.metrics.decompose_rate`'s two estimates in nats: [2, subsets, s].
    """
    import numpy as np

    from zoo import metrics

    found = np.empty((2, subsets, len(sizes)))
    for subset in range(subsets):
        order = np.random.default_rng((seed, subset)).permutation(len(loc))
        for column, size in enumerate(sizes):
            rows = order[:size]
            found[:, subset, column] = metrics.decompose_rate(loc[rows], scale[rows], seed=seed + subset)
    return found


def portrait(runs: Runs, *, split: str = "test", images: int = 12, seed: int = 0) -> Figure:
    """Originals, reconstructions and samples of one model, beside its rate per unit."""
    from zoo import metrics
    from zoo.domains.pictures import as_uint8
    from zoo.report import figures

    ((label, run),) = runs.items()
    model = model_of(run)
    measured = chosen(runs, split, max(images, 2000), seed).images
    shown = measured[:images]
    rows = {
        "original": as_uint8(shown),
        "reconstruction": model.reconstruct(shown).numpy(),
        "sample of the prior": model.sample(len(shown), seed=seed).numpy(),
    }
    return figures.portrait(rows, metrics.rate_per_unit(*model.posteriors(measured)), label)
