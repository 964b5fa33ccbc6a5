"""Figures of codes, from runs: by class, before and after a transformation, data beside noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.report.gallery.runs import Runs, chosen, model_of, posteriors_of, require_images, sample

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from zoo.models.vae import VAE


def tsne(runs: Runs, *, split: str = "test", images: int = 1000, seed: int = 0) -> Figure:
    """Codes by class in the plane of t-SNE."""
    from zoo.report import figures

    shown = chosen(runs, split, images, seed)
    require_images(shown.images, 3, "tsne", split)
    found = posteriors_of(runs, shown.images)
    drawn = figures.tsne({label: (q.loc, shown.classes()) for label, q in found.items()}, seed=seed)
    return figures.noted(drawn, sample(runs, split, len(shown.images)))


def arrows(runs: Runs, *, split: str = "test", images: int = 40, seed: int = 0, projection: str = "pca") -> Figure:
    """Arrows from the codes of images to those of their transformations."""
    import tensorflow as tf

    from zoo.augmentation.view import apply_views
    from zoo.randomness import Draws
    from zoo.report import figures

    shown = chosen(runs, split, images, seed).images
    require_images(shown, 2, "arrows", split)
    # Of the first run that has some; all runs are shown the same transformed images.
    own = (getattr(model_of(run), "transformations", None) for run in runs.values())
    layers = next((found for found in own if found is not None), None)
    domain = model_of(next(iter(runs.values()))).domain
    x = domain.prepare(tf.constant(shown))
    layers = domain.transformations() if layers is None else layers
    transformed = apply_views(layers, x, Draws(seed, 0, "plot"), "transformed").numpy()
    before, after = posteriors_of(runs, shown), posteriors_of(runs, transformed)
    drawn = figures.arrows({label: (before[label].loc, after[label].loc) for label in runs}, projection, seed)
    return figures.noted(drawn, sample(runs, split, len(shown)))


def noise(runs: Runs, *, split: str = "test", images: int = 1000, seed: int = 0) -> Figure:
    """Codes of data and of noise, and the two priors."""
    import numpy as np
    import tensorflow as tf

    from zoo.report import figures

    shown = tf.constant(chosen(runs, split, images, seed).images)
    models = {label: model_of(run) for label, run in runs.items()}
    x = next(iter(models.values())).domain.prepare(shown)
    contrasting = [model for model in models.values() if hasattr(model, "noise_examples")]
    generator = np.random.default_rng(seed)
    # Models without noise of their own see that of the first which has some, or the paper's.
    noise_scale = contrasting[0].noise_scale if contrasting else 0.01
    gaussian = x + noise_scale * generator.standard_normal(x.shape, np.float32)
    found = {}
    for label, model in models.items():
        noise = gaussian
        if getattr(model, "noise", "gaussian") == "decoder":
            noise = model.noise_examples(model.batch(shown, training=False))
        found[label] = (_draw(model, x, generator), _draw(model, noise, generator))
    drawn = figures.data_and_noise(found, [1.0, *(model.K for model in contrasting[:1])])
    return figures.noted(drawn, f"{sample(runs, split, len(shown))}, and as many of noise")


def _draw(model: VAE, x: Any, generator: np.random.Generator) -> np.ndarray:
    """A sample of q(z|x) for each x, which noise may have driven out of the unit interval."""
    import numpy as np

    dim = model.latent_dim
    blocks = (x[i : i + 500] for i in range(0, len(x), 500))
    return np.concatenate(
        [model.posterior(block).sample(generator.standard_normal([len(block), dim], np.float32)).z for block in blocks]
    )
