"""MNIST: the methods side by side, each trained by the same recipe; prints tables, draws the guide's pictures.

    TFDS_DATA_DIR=… python benchmarks/methods.py collapse --epochs 10
    TFDS_DATA_DIR=… python benchmarks/methods.py consistency --epochs 3 --seeds 3

`collapse`: the network of the VAE-AS paper, whose deep decoder invites collapse. `consistency`: the claim of Table 2 of
the consistency paper, on the network `conv`, with its latent size. Runs that exist are not trained again.
"""

import argparse
import statistics
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

from zoo import experiments, metrics
from zoo.experiments import configurations, evaluation
from zoo.experiments.run_directory import RunDirectory
from zoo.report import figures

# The consistency paper's recipe (section 4.1), but for its network and its 100 epochs.
PRINTED = [
    "model.network=conv",
    "model.latent_dim=50",
    "model.likelihood=bernoulli",
    "train.batch_size=64",
    "train.optimizer={name: adam, learning_rate: 1.0e-4}",
    "train.schedule=constant",
]
TABLES = {
    "collapse": (
        "papers/auxiliary_softmax/mlp",
        [],
        {
            "vae": ["model.method=vae"],
            "critic, self": ["model.method=critic", "model.critic=self"],
            "critic, hybrid": ["model.method=critic", "model.critic=hybrid"],
            "critic, neural": ["model.method=critic", "model.critic=neural"],
            "noise_contrastive": ["model.method=noise_contrastive"],
            "auxiliary_softmax": ["model.method=auxiliary_softmax", "model.label_dimensions=[245, 245]"],
            "contrastive": ["model.method=contrastive"],
            "consistency": ["model.method=consistency"],
            "triplet": ["model.method=triplet"],
            "iwae": ["model.method=iwae"],
        },
    ),
    "consistency": (
        "mnist/vae",
        PRINTED,
        {
            "vae": ["model.method=vae"],
            "vae + Aug": ["model.method=consistency", "model.consistency_lambda=0"],
            "consistency": ["model.method=consistency", "model.consistency_lambda=0.1"],
        },
    ),
}
COLUMNS = {
    "distortion": "{:.2f}",
    "rate": "{:.2f}",
    "elbo": "{:.2f}",
    "mutual_information": "{:.2f}",
    "marginal_kl": "{:.2f}",
    "active_units": "{:.1f}",
    "linear_accuracy": "{:.4f}",
    "knn_accuracy": "{:.4f}",
}


def measured(base, settings, directory):
    """Trains a run if there is none, evaluates it, and returns the figures of the test set."""
    experiment = configurations.load(base, settings)
    if directory.config.exists():
        directory.check_same(experiment)
    if not directory.model.exists():
        experiments.train(experiment, directory, resume=directory.config.exists(), quiet=True)
    known = directory.read(directory.evaluation).get("test")
    if known is None:
        evaluation.evaluate(directory.path)
        known = directory.read(directory.evaluation)["test"]
    return {name: figure["value"] for name, figure in known.items()}


def draw(directory, title, to):
    """The picture of a method in the guide."""
    model = experiments.load_model(directory)
    images = experiments.load_split(directory.experiment(), "test").images
    loc, scale = model.posteriors(images[:2000])
    rows = {
        "test images": images[:14],
        "reconstructions": model.reconstruct(images[:14]).numpy(),
        "samples from the prior": model.sample(14, seed=0).numpy(),
    }
    print(figures.save(figures.portrait(rows, metrics.rate_per_unit(loc, scale), title), to))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/methods"))
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each method")
    arguments = parser.parse_args()
    base, common, rows = TABLES[arguments.table]
    found = {label: [] for label in rows}
    # Seed by seed, so that a table that is cut short compares like with like.
    for seed in range(arguments.seeds):
        for label, own in rows.items():
            settings = [*common, *own, f"train.epochs={arguments.epochs}", f"train.seed={seed}"]
            name = "".join(c if c.isalnum() else "-" for c in label)
            directory = RunDirectory(arguments.runs / arguments.table / f"{name}-{seed}")
            figure = measured(base, settings, directory)
            found[label].append(figure)
            print(f"seed {seed}  {label:18}", *(f"{key}={figure[key]:.4g}" for key in COLUMNS), flush=True)
            if arguments.pictures and seed == 0:
                title = f"{label}: MNIST, {arguments.epochs} epochs, one seed"
                draw(directory, title, arguments.pictures / f"{name}.png")
    print(f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}", sep="\n")
    for label, seeds in found.items():
        cells = []
        for key, form in COLUMNS.items():
            values = [figures_[key] for figures_ in seeds]
            cell = form.format(statistics.mean(values))
            cells.append(f"{cell} ± {form.format(statistics.stdev(values))}" if len(values) > 1 else cell)
        print(f"| {label} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
