"""Trains, evaluates and exports the models of this folder, then writes index.json: `make exports`.

    python exports/make.py [NAME…]

Without names, all of them. A run lies in runs/exports, so what was interrupted goes on, and what is trained is only
exported again.
"""

import sys
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

from zoo import experiments
from zoo.experiments import configurations, evaluation
from zoo.experiments.run_directory import RunDirectory
from zoo.export.index import update_index
from zoo.report.illustrating import portrait

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs" / "exports"
NAMES = [name for name in configurations.names() if name.startswith("digits/")]
SAMPLES = 500


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        print(name, flush=True)
        run = RunDirectory(RUNS / name)
        experiments.train(configurations.load(name), run, resume=run.config.is_file())
        evaluation.evaluate(run.path, "test", nll_samples=SAMPLES, nll_images=None)
        command = f"zoo train {name}; zoo evaluate RUN --nll-samples {SAMPLES} --nll-images 0; zoo export RUN"
        experiments.export_run(
            run.path, HERE / name, half=True, trainable=True, examples=True, command=command, portrait=portrait(run)
        )
        print(update_index(HERE), flush=True)


if __name__ == "__main__":
    main()
