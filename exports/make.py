"""Trains, evaluates and exports the models of this folder, then writes index.json: `make exports`."""

import tempfile
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

from zoo import experiments
from zoo.experiments import configurations, evaluation
from zoo.experiments.run_directory import RunDirectory
from zoo.export.index import update_index

HERE = Path(__file__).parent
NAMES = ("digits/vae", "digits/contrastive")


def main() -> None:
    with tempfile.TemporaryDirectory() as runs:
        for name in NAMES:
            print(name)
            directory = RunDirectory(Path(runs) / name)
            experiments.train(configurations.load(name), directory)
            evaluation.evaluate(directory.path, "test", nll_samples=500, nll_images=300)
            experiments.export_run(directory.path, HERE / name)
    print(update_index(HERE))


if __name__ == "__main__":
    main()
