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

import numpy as np
from rich.console import Console
from sklearn.metrics import roc_auc_score

from zoo import experiments
from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory
from zoo.report import figures

TITLES = {"vae": "VAE", "noise_contrastive": "NC-VAE"}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="instead of those of the configurations")
    parser.add_argument("--out", type=Path, default=Path("docs/noise_contrastive.png"), help="the picture")
    arguments = parser.parse_args()
    began = time.perf_counter()
    console = Console(highlight=False, soft_wrap=True)
    logging.getLogger("absl").setLevel(logging.ERROR)
    change = [] if arguments.epochs is None else [f"train.epochs={arguments.epochs}"]
    chosen = {method: configurations.load(f"gaussians/{method}", change) for method in TITLES}
    noise_scale, prior_scale = (getattr(chosen["noise_contrastive"].model, key) for key in ("noise_scale", "K"))
    data = experiments.load_split(chosen["vae"], "test").images
    noise = data + noise_scale * np.random.default_rng(0).standard_normal(data.shape, np.float32)

    shown: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for method, experiment in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            model = experiments.train(experiment, RunDirectory(Path(folder) / method), quiet=True)
        found = {"data": codes(model, data, seed=1), "noise": codes(model, noise, seed=2)}
        console.print(f"{TITLES[method]}: {separation(found)}")
        shown[TITLES[method]] = (found["data"][:SHOWN], found["noise"][:SHOWN])
    figure = figures.data_and_noise(shown, (1.0, prior_scale))
    picture = figures.save(figure, arguments.out)
    console.print(f"picture: {picture}   ({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()
