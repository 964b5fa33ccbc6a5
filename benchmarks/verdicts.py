"""The doctor's verdicts on runs whose state is known, because it was brought about: a table, and figures for the tests.

    python benchmarks/verdicts.py --to build/verdicts               # trains what is missing there; minutes
    python benchmarks/verdicts.py --to build/verdicts --record tests/verdicts.json

A run that a line calls clear has a state that its setting forces; the others lie between two states, and their verdict
is shown only. A contradiction is a headline, finding or advice that does not agree with another one.
"""

import argparse
import contextlib
import json
import pathlib
import sys
from typing import NamedTuple

from zoo.cli import load_tensorflow

load_tensorflow()

import keras
import numpy as np

from zoo import experiments
from zoo.doctor import advice, examination
from zoo.doctor.diagnosis import FAILED, Diagnosis, diagnose, not_a_number
from zoo.experiments import configurations
from zoo.experiments.run_directory import RunDirectory, RunError

FAST = ["train.optimizer={name: adam, learning_rate: 0.002}", "train.schedule=constant"]
MLP = ["model.network={name: mlp, depth: 1, width: 128}", *FAST]
# Six layers of a decoder that gets by without the code under a weak gradient.
DEEP = ["model.network={name: mlp, depth: 1, decoder_depth: 12, width: 64}"]


class Case(NamedTuple):
    """A state, what brings it about, and whether that forces it."""

    name: str
    verdict: str
    why: str
    configuration: str
    settings: list[str]
    clear: bool = True
    seeds: tuple[int, ...] = (0,)


CASES = [
    Case("healthy", "healthy", "defaults, clipped", "digits/vae", [], seeds=(0, 1, 2)),
    Case("contrastive", "healthy", "a cure at its defaults", "digits/contrastive", []),
    Case("mlp", "healthy", "Adam, one hidden layer, 6 units", "digits/vae", [*MLP, "model.latent_dim=6"], seeds=(0, 1)),
    Case("beta", "collapsed", "β = 100", "digits/vae", ["model.beta=100"], seeds=(0, 1)),
    Case("variance", "collapsed", "σ² = 100", "digits/vae", [*MLP, "model.likelihood.variance=100"], seeds=(0, 1)),
    Case("unclipped", "collapsed", "no clipping, rate 0.005", "digits/vae",
         ["train.clip_norm=null", "train.optimizer.learning_rate=0.005"], seeds=(0, 1, 2)),
    Case("escaped", "partial", "no clipping, rate 0.003", "digits/vae",
         ["train.clip_norm=null", "train.optimizer.learning_rate=0.003"], clear=False, seeds=(0, 1, 2)),
    Case("deep", "collapsed", "a decoder of 12 layers", "digits/vae", [*DEEP, "train.epochs=40"], clear=False),
    Case("late", "collapsed", "β rises to 200", "digits/vae",
         [*MLP, "model.beta={name: linear, start: 0, end: 200, epochs: 15}", "train.epochs=25"]),
    Case("weak", "partial", "β = 8", "digits/vae", ["model.beta=8"]),
    Case("few", "partial", "β = 8, Adam", "digits/vae", [*MLP, "model.beta=8"], clear=False),
    Case("dead units", "partial", "64 units, β = 3", "digits/vae", [*MLP, "model.latent_dim=64", "model.beta=3"]),
    Case("one epoch", "undertrained", "18 steps", "digits/vae", ["train.epochs=1"], seeds=(0, 1)),
    Case("slow", "undertrained", "a two-hundredth of the rate, 3 epochs", "digits/vae",
         ["train.epochs=3", "train.optimizer.learning_rate=0.000005"], clear=False),
    Case("diverged", "diverged", "no clipping, rate 0.01", "digits/vae",
         ["train.clip_norm=null", "train.optimizer.learning_rate=0.01"]),
    Case("wine diverged", "diverged", "SGD, no clipping, rate 1", "wine/vae",
         ["train.clip_norm=null", "train.epochs=40", "train.optimizer={name: sgd, learning_rate: 1, momentum: 0.9}"]),
    Case("wine", "healthy", "2 units", "wine/vae", ["model.latent_dim=2"], seeds=(0, 1)),
    Case("wine four", "partial", "defaults, 4 units", "wine/vae", [], clear=False, seeds=(0, 1)),
    Case("wine beta", "collapsed", "β = 30", "wine/vae", ["model.beta=30"], seeds=(0, 1)),
    Case("wine short", "undertrained", "2 epochs of 4 steps", "wine/vae", ["train.epochs=2", "watch.every=1"]),
    Case("wine units", "partial", "8 units, β = 2", "wine/vae", ["model.latent_dim=8", "model.beta=2"], clear=False),
    Case("gaussians", "collapsed", "data without structure", "gaussians/vae", ["model.beta=4"]),
]  # fmt: skip


class Known(NamedTuple):
    """A run whose state is known, and what the doctor is given of it; `ended` says where its loss was no number."""

    name: str
    verdict: str
    why: str
    clear: bool
    figures: dict
    rows: list[dict]
    ended: str | None = None

    def diagnosis(self) -> Diagnosis:
        """What the doctor says."""
        return diagnose(self.figures, self.rows) if self.ended is None else not_a_number(self.ended)


def trained(case: Case, seed: int, folder: pathlib.Path) -> Known:
    """A run, which is trained if it is not there."""
    path = folder / f"{case.name.replace(' ', '-')}-{seed}"
    run, named = RunDirectory(path), (f"{case.name} {seed}", case.verdict, case.why, case.clear)
    settings = [*case.settings, f"train.seed={seed}", "watch.pictures=false"]
    if not run.model.is_file() and not run.diverged.is_file():
        experiment = configurations.load(case.configuration, settings)
        with contextlib.suppress(RunError):
            experiments.train(experiment, run, resume=run.config.is_file(), quiet=True, announce=str)
        keras.backend.clear_session()
    if run.diverged.is_file():
        return Known(*named, {}, [], run.diverged.read_text(encoding="utf-8"))
    return Known(*named, examination.examine_run(path), examination.history(run))


def by_hand(folder: pathlib.Path) -> list[Known]:
    """A healthy model whose encoder, or decoder, is cut: the posteriors of all images, or all outputs, are one."""
    found = []
    for part in ("encoder", "decoder"):
        model = keras.saving.load_model(folder / "mlp-0" / "model.keras")
        net = getattr(model, part)
        layer = next(each for each in net.layers if each.weights)
        layer.kernel.assign(np.zeros(layer.kernel.shape))
        file = folder / f"cut-{part}.keras"
        model.save(file)
        experiment = configurations.load("digits/vae")
        figures = examination.examine_model(file, experiment)
        found.append(Known(f"cut {part}", "collapsed", f"the {part}'s first weights are 0", True, figures, []))
    return found


def contradictions(diagnosis, experiment) -> list[str]:
    """Where headline, findings and advice do not agree."""
    text, found = " ".join(diagnosis.findings), []
    informative = sum(unit.state == "informative" for unit in diagnosis.units)
    healthy = diagnosis.summary.startswith("no collapse: all")
    if healthy and (informative < len(diagnosis.units) or "faint" in text or "dead" in text):
        found.append("healthy beside faint or dead units")
    if ("collapsed" in diagnosis.summary and "not collapsed" not in diagnosis.summary
            and "nearly" not in diagnosis.summary) != (diagnosis.verdict == "collapsed"):  # fmt: skip
        found.append("headline against verdict")
    remedies = advice.remedies(diagnosis, experiment, "digits/vae", "runs/x")
    if bool(remedies) == (diagnosis.verdict == "healthy"):
        found.append("advice against verdict")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=pathlib.Path, required=True, help="where the runs are, and go")
    parser.add_argument("--record", type=pathlib.Path, help="a JSON file for figures and histories")
    arguments = parser.parse_args()
    runs = []
    for case in CASES:
        for seed in case.seeds:
            runs.append(trained(case, seed, arguments.to))
            print(f"{runs[-1].name}: {runs[-1].diagnosis().verdict} ({runs[-1].verdict})", file=sys.stderr, flush=True)
    runs += by_hand(arguments.to)
    failed = table(runs)
    if arguments.record:
        record(runs, arguments.record)
    sys.exit(failed)


def table(runs: list[Known]) -> bool:
    """Prints state against verdict, and counts; whether anything is wrong."""
    experiment = configurations.load("digits/vae")
    wrong = contradicting = 0
    print("| run | brought about by | known state | verdict | exit code | rate | MI | informative | sensitivity |")
    print("|---|---|---|---|---:|---:|---:|---:|---:|")
    for run in runs:
        found = run.diagnosis()
        known = run.verdict if run.clear else f"between, perhaps {run.verdict}"
        wrong += run.clear and found.verdict != run.verdict
        for each in contradictions(found, experiment):
            contradicting += 1
            print(f"contradiction: {run.name}: {each}: {found.summary}")
        informative = sum(unit.state == "informative" for unit in found.units)
        numbers = "| | | |"
        if run.figures:
            rate, information, sensitivity = (
                run.figures[key].value for key in ("rate", "mutual_information", "decoder_sensitivity")
            )
            numbers = f"{rate:.2f} | {information:.2f} | {informative} of {len(found.units)} | {sensitivity:.2g} |"
        print(f"| {run.name} | {run.why} | {known} | {found.verdict} | {int(found.verdict in FAILED)} | {numbers}")
    print(f"{len(runs)} runs, {sum(run.clear for run in runs)} clear: {wrong} wrong, {contradicting} contradictions")
    return bool(wrong or contradicting)


def record(runs: list[Known], file: pathlib.Path) -> None:
    """Writes what the tests judge again."""
    keys = ("epoch", "step", "val_elbo", "val_rate", "val_active_units", "val_mutual_information")
    kept = [
        {
            "name": run.name,
            "verdict": run.verdict,
            "clear": run.clear,
            "figures": {key: measured._asdict() for key, measured in run.figures.items()},
            "rows": [{key: row[key] for key in keys if key in row} for row in run.rows],
        }
        for run in runs
        if run.ended is None
    ]
    text = json.dumps(_rounded(kept), separators=(",", ":"))
    file.write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")


def _rounded(content):
    """The same with six digits of each number."""
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return content if isinstance(content, str | int | None) else float(f"{float(content):.6g}")


if __name__ == "__main__":
    main()
