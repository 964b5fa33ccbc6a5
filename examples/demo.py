"""`make demo`: the plain VAE and the contrastive VAE on the embedded digits, from training to codes of an export."""

import shutil
import tempfile
import time
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from zoo import experiments
from zoo.experiments import configurations, evaluation
from zoo.experiments.run_directory import RunDirectory
from zoo.report import figures

METHODS = ("vae", "contrastive")
COLUMNS = {
    "distortion": ("distortion", "{:.1f}"),
    "rate": ("rate", "{:.2f}"),
    "mutual_information": ("MI", "{:.2f}"),
    "active_units": ("active", "{:.0f}"),
    "knn_accuracy": ("KNN", "{:.3f}"),
    "linear_accuracy": ("linear", "{:.3f}"),
}


def main() -> None:
    began = time.perf_counter()
    console = Console()
    target = Path("demo")
    runs = Path(tempfile.mkdtemp(prefix="zoo-demo-"))
    table = Table(
        title="digits, 300 test images, one seed; distortion, rate and MI in nats",
        caption="Δ export: greatest difference between codes of the export and of the model",
        caption_justify="left",
        title_justify="left",
    )
    for heading in ("method", *(heading for heading, _ in COLUMNS.values()), "Δ export"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    rows: dict[str, np.ndarray] = {}
    for method in METHODS:
        console.print(f"[bold]digits/{method}[/bold]")
        experiment = configurations.load(f"digits/{method}")
        directory = RunDirectory(runs / method)
        model = experiments.train(experiment, directory)
        found, _ = evaluation.evaluate(directory.path)
        exported = tf.saved_model.load(str(experiments.export_run(directory.path)))

        images = experiments.load_split(experiment, "test").images
        difference = float(np.abs(exported.encode(images)["loc"] - model.encode(images).loc).max())
        values = (form.format(found[key].value) for key, (_, form) in COLUMNS.items())
        table.add_row(method, *values, f"{difference:.0e}")
        rows["originals"] = images[:24]
        rows[f"{method}: reconstructions"] = model.reconstruct(images[:24]).numpy()
        rows[f"{method}: prior samples"] = model.sample(24, seed=0).numpy()
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(runs, target)
    figure = figures.image_rows(rows, "The plain VAE and the contrastive VAE on digits")
    picture = figures.save(figure, target / "demo.png")
    console.print(table)
    console.print(f"picture: {picture}   runs and exports: {target}   ({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()
