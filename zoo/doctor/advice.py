"""What the zoo has against a collapse, as commands that can be typed; each is checked against the schema first."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo.experiments import configurations
from zoo.experiments.schema import ConfigurationError, Experiment
from zoo.models import METHODS, canonical

if TYPE_CHECKING:
    from zoo.doctor.diagnosis import Diagnosis

# Of the published code of the contrastive paper, and of all configurations of the zoo.
CLIP_NORM = 5
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
    found = [
        remedy
        for word, why, settings in [*_settings(diagnosis, experiment, clip), *_methods(experiment, clip)]
        if (remedy := _checked(why, settings, source, f"{runs}-{word}"))
    ]
    if experiment.model.likelihood["name"] == "gaussian":
        why = "how many units the data support at this β and this variance of the decoder"
        found.append(Remedy(why, [], f"zoo doctor {shlex.quote(source)}"))
    return found


def _settings(diagnosis: Diagnosis, experiment: Experiment, clip: list[str]) -> list[tuple[str, str, list[str]]]:
    """(word for the run, why, settings), by what the configuration lacks."""
    model, train = experiment.model, experiment.train
    found = []
    if clip and diagnosis.verdict == "collapsed":
        why = "gradients are not clipped: the first steps can saturate the output, and nothing brings it back"
        found.append(("clipped", why, clip))
    elif diagnosis.dead:
        slower = f"train.optimizer.learning_rate={train.optimizer.learning_rate / 10:g}"
        found.append(("slower", "the output is dead: smaller steps from the start", [slower]))
    if diagnosis.rising and not diagnosis.dead:
        longer = f"train.epochs={4 * train.epochs}"
        found.append(("longer", "the ELBO still rose when training ended: train longer", [longer, *clip]))
    if model.beta > 1:
        found.append(("beta", f"β is {model.beta:g}: every nat of rate costs more than a nat", ["model.beta=1", *clip]))
    elif model.beta > 0:
        half = f"model.beta={model.beta / 2:g}"
        found.append(("beta", "a smaller β makes every nat of rate cheaper", [half, *clip]))
    if not train.kl_warmup:
        epochs = max(1, round(train.epochs / 5))
        why = "the rate weighs fully from the first step: warm it up, so that the decoder learns to read the code first"
        found.append(("warmup", why, [f"train.kl_warmup={epochs}", *clip]))
    return found


def _methods(experiment: Experiment, clip: list[str]) -> list[tuple[str, str, list[str]]]:
    """Methods, each instead of a plain VAE or on top of what the run has."""
    own = canonical(experiment.model.method)
    found = []
    for name, more in CURES.items():
        # The schema refuses, later, a method that the run has already.
        both = name if own == ("vae",) else f"[{','.join([*own, name])}]"
        found.append((name, f"method {name}: {METHODS[name][1]}", [f"model.method={both}", *more, *clip]))
    return found


def _checked(why: str, settings: list[str], source: str, run: str) -> Remedy | None:
    """The remedy, unless the schema refuses it (a method twice, two that do not combine, a queue below the batch)."""
    try:
        configurations.load(source, settings)
    except ConfigurationError:
        return None
    words = ["zoo", "train", source, *(word for setting in settings for word in ("--set", setting)), "--run-dir", run]
    return Remedy(why, settings, shlex.join(words))


def source_of(path: Path) -> tuple[str, str]:
    """(configuration, where new runs go) for the run in a directory."""
    return str(path / "config.yaml"), str(path)
