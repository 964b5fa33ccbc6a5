"""Trains, evaluates and exports the models of this folder, then writes index.json: `make exports`.

    python exports/make.py [NAME…]

Without names, all of them. Models of digits are those of configs/digits; the others are the first seeds of the
leaderboard's rows, in its network and recipe. Runs lie in runs/, so what was interrupted goes on, and what is trained
is only exported again.
"""

import sys
from pathlib import Path

from zoo.cli import load_tensorflow

load_tensorflow()

from zoo import experiments
from zoo.experiments import configurations, evaluation
from zoo.experiments.run_directory import RunDirectory
from zoo.export.index import update_index
from zoo.papers import plan, reproduction, table
from zoo.report.illustrating import portrait

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs"
SAMPLES = 500
LEADERBOARD = "leaderboard/images"
# The leaderboard's rows by the methods that are exported.
ROWS = {
    "vae": "VAE",
    "iwae": "IWAE",
    "consistency": "consistency",
    "contrastive": "contrastive",
    "noise_contrastive": "noise-contrastive",
    "critic": "self critic",
    "auxiliary_softmax": "auxiliary softmax",
    "triplet": "triplet",
}
NAMES = [
    *(name for name in configurations.names() if name.startswith("digits/")),
    *(f"mnist/{method}" for method in ROWS),
]


def of_configuration(name: str) -> tuple[RunDirectory, str]:
    """The run of a configuration, trained and evaluated, and the command that does so."""
    run = RunDirectory(RUNS / "exports" / name)
    experiments.train(configurations.load(name), run, resume=run.config.is_file())
    evaluation.evaluate(run.path, "test", nll_samples=SAMPLES, nll_images=None)
    return run, f"zoo train {name}; zoo evaluate RUN --nll-samples {SAMPLES} --nll-images 0"


def of_leaderboard(name: str) -> tuple[RunDirectory, str]:
    """The first seed of a leaderboard's row, trained and evaluated, and the command that does so."""
    data, _, method = name.partition("/")
    row = ROWS[method]

    def planned() -> plan.Plan:
        return plan.plan(table.load(LEADERBOARD), only=(data, row), seeds=1, runs=RUNS)

    done, failed = reproduction.carry_out(planned)
    if failed:
        raise SystemExit(next(iter(failed.values())))
    (job,) = done.all_jobs()
    return job.run, f'zoo reproduce {LEADERBOARD} --only "{data},{row}" --seeds 1'


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        print(name, flush=True)
        run, command = (of_configuration if name.startswith("digits/") else of_leaderboard)(name)
        command = f"{command}; zoo export RUN --half --trainable --examples"
        made = {"half": True, "trainable": True, "examples": True, "command": command}
        experiments.export_run(run.path, HERE / name, **made, portrait=portrait(run))
        print(update_index(HERE), flush=True)


if __name__ == "__main__":
    main()
