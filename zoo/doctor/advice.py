"""What the zoo has against a collapse, as commands that can be typed; each is checked against the schema first."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zoo.doctor.diagnosis import Diagnosis
from zoo.experiments import configurations
from zoo.experiments.schema import ConfigurationError, Experiment
from zoo.models import METHODS, canonical

# Of the published code of the contrastive paper, and of all configurations of the zoo.
CLIP_NORM = 5
# The variance at which a Gaussian's distortion is the sum of squares and a constant.
SUM_OF_SQUARES = 0.5
# The methods whose papers are about collapse, with what each needs beyond its defaults.
CURES: dict[str, tuple[str, ...]] = {
    "contrastive": (),
    "critic": (),
    # 0: nothing is paid for mutual information. Two label dimensions keep the classifier small.
    "auxiliary_softmax": ("model.alpha=0", "model.label_dimensions=2"),
    "iwae": (),
}


class Remedy(NamedTuple):
    """Something to try: why, the settings, and the command."""

    why: str
    settings: list[str]
    command: str


def remedies(diagnosis: Diagnosis, experiment: Experiment, source: str, runs: str) -> list[Remedy]:
    """What to try, the likeliest first; nothing for the healthy.

    Args:
        diagnosis: of the run or model.
        experiment: the configuration that it came of.
        source: what `zoo train` finds that configuration by.
        runs: where the proposed runs go; each command adds a word to it.
    """
    if diagnosis.verdict == "healthy":
        return []
    clip = [] if experiment.train.clip_norm else [f"train.clip_norm={CLIP_NORM}"]
    wanted = [*_settings(diagnosis, experiment, clip)]
    if diagnosis.verdict in ("collapsed", "partial"):
        wanted += _methods(experiment, clip)
    found = []
    for word, why, settings in wanted:
        if remedy := _checked(why, settings, source, f"{runs}-{word}"):
            more = word == "longer" and len(settings) == 1 and source == source_of(Path(runs))[0]
            found.append(_in_place(remedy, experiment, runs) if more else remedy)
    if diagnosis.verdict in ("collapsed", "partial") and experiment.model.likelihood["name"] == "gaussian":
        why = "how many units the data support at this β and this variance of the decoder"
        found.append(Remedy(why, [], f"zoo doctor {shlex.quote(source)}"))
    return found


def in_short(experiment: Experiment) -> list[str]:
    """Settings against a collapse of this configuration, one for each remedy, the likeliest first: for one line."""
    collapsed = Diagnosis("collapsed", "", True, False, False, False, None, [], [])
    clip = [] if experiment.train.clip_norm else [f"train.clip_norm={CLIP_NORM}"]
    return [settings[0] for _, _, settings in [*_settings(collapsed, experiment, clip), *_methods(experiment, [])]]


def _lower_beta(beta: Any) -> float | None:
    """A β to try instead of a number; None for 0 and for a schedule."""
    if not isinstance(beta, int | float) or beta <= 0:
        return None
    return 1.0 if beta > 1 else beta / 2


def _too_wide(likelihood: Mapping[str, Any]) -> bool:
    """Whether a Gaussian's variance is given, and above what data of the zoo's scales have."""
    return likelihood["name"] == "gaussian" and not likelihood["learned"] and float(likelihood["variance"]) > 1


def _warmup(epochs: int) -> int:
    return max(1, round(epochs / 5))


def _settings(diagnosis: Diagnosis, experiment: Experiment, clip: list[str]) -> list[tuple[str, str, list[str]]]:
    """(word for the run, why, settings), by what the configuration lacks."""
    model, train = experiment.model, experiment.train
    found = []
    longer = f"train.epochs={4 * train.epochs}"
    if diagnosis.verdict == "undertrained":
        return [("longer", "training ended too early to tell: train longer", [longer])]
    if clip and diagnosis.verdict in ("collapsed", "diverged"):
        why = "gradients are not clipped: the first steps can saturate the output, and nothing brings it back"
        found.append(("clipped", why, clip))
    elif diagnosis.dead or diagnosis.verdict == "diverged":
        slower = f"train.optimizer.learning_rate={train.optimizer.learning_rate / 10:g}"
        why = "the output is dead" if diagnosis.dead else "training diverged"
        found.append(("slower", f"{why}: smaller steps from the start", [slower]))
    if diagnosis.verdict == "diverged":
        return found
    if diagnosis.rising and not diagnosis.dead:
        found.append(("longer", "the ELBO still rose when training ended: train longer", [longer, *clip]))
    if _too_wide(model.likelihood):
        why = (
            f"σ² = {model.likelihood['variance']:g} is more than pixels or standardised features vary by: is the error "
            "a mean over them, where it should be a sum?"
        )
        found.append(("sum", why, [f"model.likelihood.variance={SUM_OF_SQUARES:g}", *clip]))
    if (beta := _lower_beta(model.beta)) is not None:
        high = f"β is {model.beta:g}: every nat of rate costs more than a nat"
        why = high if model.beta > 1 else "a smaller β makes every nat of rate cheaper"
        found.append(("beta", why, [f"model.beta={beta:g}", *clip]))
    if not train.kl_warmup:
        epochs = _warmup(train.epochs)
        why = "the rate weighs fully from the first step: warm it up, so that the decoder learns to read the code first"
        found.append(("warmup", why, [f"train.kl_warmup={epochs}", *clip]))
    return found


def _methods(experiment: Experiment, clip: list[str]) -> list[tuple[str, str, list[str]]]:
    """Methods, each instead of a plain VAE or on top of what the run has."""
    own = canonical(experiment.model.method)
    found = []
    for name, more in CURES.items():
        if name in own:
            continue
        both = name if own == ("vae",) else f"[{','.join([*own, name])}]"
        found.append((name, f"method {name}: {METHODS[name][1]}", [f"model.method={both}", *more, *clip]))
    return found


def _checked(why: str, settings: list[str], source: str, run: str) -> Remedy | None:
    """The remedy, unless the schema refuses it (a method twice, two that do not combine, a queue below the batch)."""
    try:
        configurations.load(source, settings)
    except ConfigurationError:
        return None
    return Remedy(why, settings, f"{command(source, settings)} --run-dir {shlex.quote(run)}")


def command(source: str, settings: list[str]) -> str:
    """What to type to train a configuration with settings."""
    return shlex.join(["zoo", "train", source, *(word for setting in settings for word in ("--set", setting))])


def _in_place(remedy: Remedy, experiment: Experiment, runs: str) -> Remedy:
    """More epochs of a run itself, which goes on from its last; a cosine, or an end by patience, has to begin anew."""
    train = experiment.train
    if train.schedule.name == "cosine" or train.stop is not None:
        return remedy
    epochs = remedy.settings[0].partition("=")[2]
    return remedy._replace(command=shlex.join(["zoo", "train", "--resume", runs, "--epochs", epochs]))


def source_of(path: Path) -> tuple[str, str]:
    """(configuration, where new runs go) for the run in a directory."""
    return str(path / "config.yaml"), str(path)
