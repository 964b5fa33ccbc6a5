"""Figures of images, from runs: laid out by their codes, reconstructed, sampled, and all of one model."""

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
