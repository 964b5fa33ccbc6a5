"""Figure 2 of Ganea, Annadani & Bécigneul (2019): data and noise, coded in the plane by a VAE and by the NC-VAE.

Trains `gaussians/vae` and `gaussians/noise_contrastive`, encodes the test split and as many draws of the noise, prints
how far the codes tell one from the other, and draws them.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

import matplotlib
import numpy as np
from rich.console import Console
from sklearn.metrics import roc_auc_score

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from zoo import configurations, run
from zoo.report import figures
from zoo.run_directory import RunDirectory

TITLES = {"vae": "VAE", "noise_contrastive": "NC-VAE"}
COLOURS = {"data": "tab:blue", "noise": "tab:red"}
SHOWN = 1000


def codes(model, images: np.ndarray, seed: int) -> np.ndarray:
    """One sample of q(z|x) for each image: [n, 2]."""
    loc, scale = model.posteriors(images)
    return loc + scale * np.random.default_rng(seed).standard_normal(loc.shape)


def separation(found: dict[str, np.ndarray]) -> str:
    """The codes' standard deviations, and how often noise lies further out than data."""
    radii = {name: np.linalg.norm(z, axis=1) for name, z in found.items()}
    spread = ", ".join(f"{name} {np.sqrt(np.mean(z**2)):.2f}" for name, z in found.items())
    is_noise = np.concatenate([np.full(len(radius), name == "noise") for name, radius in radii.items()])
    further = roc_auc_score(is_noise, np.concatenate(list(radii.values())))
    return f"codes' standard deviation: {spread}; noise further out than data: {further:.3f} of pairs"


def panel(axis, found: dict[str, np.ndarray], prior_scales: dict[str, float]) -> None:
    """Codes as dots, and for each prior the circle around 95 % of its mass."""
    dots = np.concatenate([found[name][:SHOWN] for name in COLOURS])
    colours = np.repeat(list(COLOURS.values()), SHOWN)
    # Neither kind of dot shall lie on top of the other.
    order = np.random.default_rng(0).permutation(len(dots))
    axis.scatter(*dots[order].T, s=4, c=colours[order], alpha=0.6, linewidths=0)
    for name, scale in prior_scales.items():
        # In the plane ‖z‖² / σ² is exponential with mean 2.
        radius = scale * np.sqrt(-2 * np.log(0.05))
        axis.add_patch(Circle((0, 0), radius, fill=False, color=COLOURS[name]))
    axis.set(xlim=(-17, 17), ylim=(-17, 17), aspect="equal", xlabel="$z_1$", ylabel="$z_2$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="instead of those of the configurations")
    parser.add_argument("--out", type=Path, default=Path("docs/noise_contrastive.png"), help="the picture")
    arguments = parser.parse_args()
    began = time.perf_counter()
    console = Console(highlight=False, soft_wrap=True)
    logging.getLogger("absl").setLevel(logging.ERROR)
    change = [] if arguments.epochs is None else [f"train.epochs={arguments.epochs}"]
    experiments = {method: configurations.load(f"gaussians/{method}", change) for method in TITLES}
    noise_scale, prior_scale = (getattr(experiments["noise_contrastive"].model, key) for key in ("noise_scale", "K"))
    data = run.load_split(experiments["vae"], "test").images
    noise = data + noise_scale * np.random.default_rng(0).standard_normal(data.shape, np.float32)

    figure, axes = plt.subplots(1, 2, figsize=(9, 5.4), layout="constrained", sharey=True)
    for axis, (method, experiment) in zip(axes, experiments.items(), strict=True):
        with tempfile.TemporaryDirectory() as folder:
            model = run.train(experiment, RunDirectory(Path(folder) / method), quiet=True)
        found = {"data": codes(model, data, seed=1), "noise": codes(model, noise, seed=2)}
        console.print(f"{TITLES[method]}: {separation(found)}")
        panel(axis, found, {"data": 1.0, "noise": prior_scale})
        axis.set_title(TITLES[method])
        axis.label_outer()
    dot, ring = (
        {"marker": "o", "linestyle": ""},
        {"marker": "o", "linestyle": "", "fillstyle": "none", "markersize": 12},
    )
    priors = {"data": "N(0, I)", "noise": f"N(0, {prior_scale**2:g}·I)"}
    handles = [Line2D([], [], color=COLOURS[name], label=f"codes of {name}", **dot) for name in COLOURS]
    handles += [Line2D([], [], color=COLOURS[name], label=f"95 % of {prior}", **ring) for name, prior in priors.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    picture = figures.save(figure, arguments.out)
    console.print(f"picture: {picture}   ({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()
