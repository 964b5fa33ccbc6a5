"""MNIST: a collapse and its cure. Trains, or finishes, three runs, and prints their table and draws their picture.

    TFDS_DATA_DIR=… python benchmarks/collapse.py --epochs 3 --runs runs/collapse --picture docs/collapse.png

The plain VAE without clipping is the contrastive paper's baseline; its published code clips the gradients of its own
method only. The plain VAE as configured has the same recipe as the contrastive one.
"""

import argparse
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

from zoo import experiments
from zoo.experiments import configurations, evaluation
from zoo.experiments.run_directory import RunDirectory
from zoo.report import figures

RUNS = {
    "plain VAE, gradients not clipped (the paper's baseline)": ("mnist/vae", ["train.clip_norm=null"]),
    "plain VAE, clipped (same recipe as the contrastive one)": ("mnist/vae", []),
    "contrastive VAE": ("mnist/contrastive", []),
}
COLUMNS = {
    "distortion": "{:.1f}",
    "sum_of_squares": "{:.2f}",
    "rate": "{:.3f}",
    "marginal_kl": "{:.2f}",
    "mutual_information": "{:.2f}",
    "active_units": "{:.0f}",
    "linear_accuracy": "{:.4f}",
    "knn_accuracy": "{:.4f}",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/collapse"))
    parser.add_argument("--picture", type=Path, default=Path("docs/collapse.png"))
    arguments = parser.parse_args()
    rows = {}
    lines = [f"| run | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for number, (label, (name, settings)) in enumerate(RUNS.items()):
        recipe = [f"train.epochs={arguments.epochs}", f"train.seed={arguments.seed}"]
        experiment = configurations.load(name, [*settings, *recipe])
        directory = RunDirectory(arguments.runs / f"{number}-{name.rpartition('/')[2]}")
        if not directory.model.exists():
            experiments.train(experiment, directory, resume=directory.config.exists())
        found, left_out = evaluation.evaluate(directory.path)
        shown = [form.format(found[key].value) if key in found else "none" for key, form in COLUMNS.items()]
        lines.append(f"| {label} | {' | '.join(shown)} |")
        print(label, *left_out, sep="\n  ")
        model, images = experiments.load_model(directory), experiments.load_split(experiment, "test").images[:20]
        rows["test images"] = images
        rows[f"{label}: reconstructions"] = model.reconstruct(images).numpy()
        rows[f"{label}: prior samples"] = model.sample(20, seed=0).numpy()
    print(*lines, sep="\n")
    title = f"MNIST after {arguments.epochs} epochs, seed {arguments.seed}"
    print(figures.save(figures.image_rows(rows, title), arguments.picture))


if __name__ == "__main__":
    main()
