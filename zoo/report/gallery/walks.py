"""Walks through the latent space, from runs: one unit changed, and from one image's code to another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.report.gallery.runs import Runs, chosen, model_of, require_images, sample

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from zoo.models.vae import VAE

PATHS = ("linear", "spherical")
"""What an interpolation may follow: the straight line, or the arc of the sphere."""

# Rates are measured on so many images at least.
_MEASURED = 1000
# The prior's standard deviations at which a unit is shown, and the steps from a code to another.
_REACH, _STEPS = 3, 9


def interpolation(runs: Runs, *, split: str = "test", images: int = 6, seed: int = 0, path: str = "linear") -> Figure:
    """Walks between the codes of two images, which stand at the ends, beside their reconstructions."""
    import numpy as np

    from zoo.domains.pictures import as_uint8
    from zoo.report import figures

    shown = chosen(runs, split, 2 * images, seed).images
    pairs = len(shown) // 2
    require_images(shown, 2, "interpolation", split)
    shown = shown[: 2 * pairs]
    ends = as_uint8(shown).reshape(pairs, 2, *shown.shape[1:])
    found = {}
    for label, run in runs.items():
        model = model_of(run)
        start, end = model.posteriors(shown).loc.reshape(pairs, 2, -1).swapaxes(0, 1)
        inside = as_uint8(_decoded(model, between(start, end, np.linspace(0, 1, _STEPS), path)))
        found[label] = np.concatenate([ends[:, :1], inside, ends[:, 1:]], axis=1)
    note = f"{sample(runs, split, len(shown))}, {pairs} {path} walks between means; the images themselves at both ends"
    return figures.noted(figures.interpolation(found), note)


def traversal(
    runs: Runs,
    *,
    split: str = "test",
    images: int = 8,
    seed: int = 0,
    units: int = 16,
    unit: int | None = None,
    example: int | None = None,
) -> Figure:
    """One unit changed: each of those of most rate in one image, or (with a unit's number) one in several images."""
    import numpy as np

    from zoo import metrics
    from zoo.report import figures

    measured = chosen(runs, split, max(images, _MEASURED), seed, example).images
    sweep = np.linspace(-_REACH, _REACH, 2 * _REACH + 1)
    decoded, names, variances = {}, {}, []
    for label, run in runs.items():
        model = model_of(run)
        posteriors = model.posteriors(measured)
        rates = metrics.rate_per_unit(*posteriors, model.prior_variance or 1.0)
        if unit is None:
            rows = np.argsort(-rates, kind="stable")[:units]
            starts = np.repeat(posteriors.loc[:1], len(rows), axis=0)
        elif unit < len(rates):
            starts = posteriors.loc[:images]
            rows = np.full(len(starts), unit)
        else:
            raise ValueError(f"unit: {unit} given, the units of {label} are 0 to {len(rates) - 1}")
        decoded[label] = _decoded(model, swept(starts, rows, sweep * (model.prior_variance or 1.0) ** 0.5))
        names[label] = [f"{row}: {rates[row]:.2f}" for row in rows]
        variances.append(model.prior_variance)
    # Under another prior, or several groups, a unit has no one standard deviation, and the rates are not the model's.
    of = "standard deviations of the prior" if None not in variances else "value of the unit"
    against = "" if None not in variances else ", against N(0, I)"
    which = "one image" if example is None else f"image {example} of the split"
    start = f"from the mean of {which}" if unit is None else f"unit {unit} from the means of {len(rows)} images"
    drawn = figures.traversal(decoded, sweep, names, of)
    return figures.noted(drawn, f"{start}; rates{against} on {sample(runs, split, len(measured))}")


def swept(codes: np.ndarray, units: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Codes of which one unit takes some values in turn.

    Args:
        codes: to start from, [rows, dim].
        units: number of the changed unit in each row, [rows].
        values: that it takes, [steps].

    Returns:
        [rows, steps, dim]; all other units are those of `codes`.
    """
    import numpy as np

    found = np.repeat(codes[:, None], len(values), axis=1)
    found[np.arange(len(units)), :, units] = values
    return found


def between(start: np.ndarray, end: np.ndarray, shares: np.ndarray, path: str = "linear") -> np.ndarray:
    """Codes on the way from some codes to others.

    Args:
        start: [n, dim].
        end: [n, dim].
        shares: of the way, [steps]; 0 is the start, 1 the end.
        path: of `PATHS`. Spherical (Shoemake 1985): (sin((1 − t)ω) · start + sin(tω) · end) / sin ω, with the angle ω
            between both. Where they point the same or the opposite way there is no one arc, and the line is taken.

    Returns:
        [n, steps, dim], of the type of `start`.
    """
    import numpy as np

    a, b = (np.asarray(codes, np.float64)[:, None] for codes in (start, end))
    t = np.asarray(shares, np.float64)[:, None]
    walk = (1 - t) * a + t * b
    if path == "spherical":
        lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        cosine = np.divide((a * b).sum(axis=-1), lengths, out=np.ones_like(lengths), where=lengths > 0)
        angle = np.arccos(np.clip(cosine, -1, 1))[..., None]
        sine = np.sin(angle)
        bent = sine > 1e-6
        arc = np.sin((1 - t) * angle) * a + np.sin(t * angle) * b
        walk = np.where(bent, arc / np.where(bent, sine, 1.0), walk)
    return walk.astype(start.dtype)


def _decoded(model: VAE, codes: np.ndarray) -> np.ndarray:
    """What codes [rows, steps, dim] decode to, [rows, steps, h, w, c], a row at once."""
    import numpy as np

    return np.stack([model.decode(row).numpy() for row in codes])
