"""Trains, evaluates and exports the models of this folder, then writes index.json: `make exports`."""

import tempfile
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

from zoo import configurations, evaluation, run
from zoo.export import update_index
from zoo.run_directory import RunDirectory

HERE = Path(__file__).parent
NAMES = ("digits/vae", "digits/contrastive")


def main() -> None:
    with tempfile.TemporaryDirectory() as runs:
        for name in NAMES:
            print(name)
            directory = RunDirectory(Path(runs) / name)
            run.train(configurations.load(name), directory)
            evaluation.evaluate(directory.path, "test", nll_samples=500, nll_images=300)
            run.export_run(directory.path, HERE / name)
    print(update_index(HERE))


if __name__ == "__main__":
    main()
