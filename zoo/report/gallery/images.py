"""Figures of images, from runs: laid out by their codes, reconstructed, sampled, and walks through the latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.report.gallery.runs import Runs, chosen, model_of, posteriors_of, require_images, sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grid(runs: Runs, *, split: str = "test", images: int = 400, seed: int = 0) -> Figure:
    """Images laid out by where t-SNE puts their codes."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    require_images(shown, 3, "grid", split)
    found = posteriors_of(runs, shown)
    drawn = figures.image_map(shown, {label: figures.plane(q.loc, seed=seed) for label, q in found.items()})
    return figures.noted(drawn, f"{sample(runs, split, len(shown))}; neighbours by t-SNE of the codes")


def reconstructions(runs: Runs, *, split: str = "test", images: int = 20, seed: int = 0) -> Figure:
    """Images and what the models make of them."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    drawn = figures.reconstructions(
        shown, {label: model_of(run).reconstruct(shown).numpy() for label, run in runs.items()}
    )
    return figures.noted(drawn, sample(runs, split, len(shown)))


def samples(runs: Runs, *, images: int = 64, seed: int = 0) -> Figure:
    """Images decoded from samples of the prior."""
    from zoo.report import figures

    drawn = figures.samples({label: model_of(run).sample(images, seed=seed).numpy() for label, run in runs.items()})
    return figures.noted(drawn, f"n = {images:,} samples of the prior for each model")


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
    return figures.noted(figures.interpolations(found), f"{sample(runs, split, 2 * pairs)}, {pairs} walks")


def traversals(runs: Runs, *, split: str = "test", images: int = 8, seed: int = 0, unit: int | None = None) -> Figure:
    """One unit changed: in several images (with a unit's number), or each of the units of most rate in one image."""
    import numpy as np

    from zoo import metrics
    from zoo.report import figures

    ((label, run),) = runs.items()
    model = model_of(run)
    measured = chosen(runs, split, max(images, 1000), seed).images
    posteriors = model.posteriors(measured)
    rates = metrics.rate_per_unit(*posteriors, model.prior_variance or 1.0)
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
    drawn = figures.traversals(decoded.reshape(*codes.shape[:2], *decoded.shape[1:]), values, names, title)
    return figures.noted(drawn, f"rates on {sample(runs, split, len(measured))}")


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
    rates = metrics.rate_per_unit(*model.posteriors(measured), model.prior_variance or 1.0)
    return figures.noted(figures.portrait(rows, rates, label), f"rates on {sample(runs, split, len(measured))}")
