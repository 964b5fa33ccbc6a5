"""Names of configurations in words: the method, and what differs from the others (`VAE, no clipping`)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from zoo.experiments.schema import Experiment
from zoo.models import canonical
from zoo.outside import is_outside

# By key: what a value is called, and what there is where it is null or 0.
_WORDS = {
    "data.train": ("trained on {}", ""),
    "data.binarize": ("{} binarisation", "not binarised"),
    "model.beta": ("β = {}", ""),
    "model.latent_dim": ("{} units", ""),
    "model.network.name": ("network {}", ""),
    "model.likelihood.name": ("{} likelihood", ""),
    "model.prior.name": ("prior {}", ""),
    "train.epochs": ("{} epochs", ""),
    "train.batch_size": ("batches of {}", ""),
    "train.optimizer.name": ("{}", ""),
    "train.optimizer.learning_rate": ("learning rate {}", ""),
    "train.optimizer.momentum": ("momentum {}", "no momentum"),
    "train.optimizer.weight_decay": ("weight decay {}", "no weight decay"),
    "train.schedule.name": ("{} schedule", ""),
    "train.schedule.monitor": ("plateau of {}", ""),
    "train.select": ("{} epoch", ""),
    "train.monitor": ("by validation {}", ""),
    "train.init_from": ("from {}", "from random weights"),
    "train.stop": ("", "to the last epoch"),
    "train.stop.patience": ("patience of {}", "no patience"),
    "train.stop.reductions": ("to reduction {}", ""),
    "train.clip_norm": ("clipped to norm {}", "no clipping"),
    "train.kl_warmup": ("warm-up of {} epochs", "no warm-up"),
    "train.precision": ("{}", ""),
}
_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "lambda": "λ", "sigma": "σ"}
_ABBREVIATED = {"vae": "VAE", "iwae": "IWAE"}
# What says nothing of what was trained.
_SILENT = ("model.method", "train.seed")
_SENTENCE = "Where a row's name does not say otherwise: {}."


class Names(NamedTuple):
    """Of configurations.

    Attributes:
        names: in their order, no two alike.
        unsaid: what most of them share and the names leave out, as a sentence; empty where they say all.
    """

    names: list[str]
    unsaid: str


def names(experiments: Sequence[Experiment]) -> Names:
    """What tells configurations apart, in words.

    A value that more than half of those have which have the key is left out of their names, and said once.

    Args:
        experiments: no two alike but for the seed.
    """
    flat = [{key: _plain(value) for key, value in one.flat().items() if key not in _SILENT} for one in experiments]
    found = [[_method(one)] for one in experiments]
    unsaid = []
    for key in _differing(flat, [parts[0] for parts in found]):
        values = [values[key] for values in flat if key in values]
        (common, count), *_ = Counter(values).most_common(1)
        usual = common if 2 * count > len(values) else None
        if usual is not None:
            unsaid.append(_said(key, usual))
        for parts, own in zip(found, flat, strict=True):
            if key in own and own[key] != usual:
                parts.append(_said(key, own[key]))
    texts = [", ".join(parts) for parts in found]
    if len({*texts}) < len(texts):
        # The same word for two values, or a key that one configuration lacks.
        twice = Counter(texts)
        texts = [f"{t} ({one.fingerprint()})" if twice[t] > 1 else t for t, one in zip(texts, experiments, strict=True)]
    return Names(texts, _SENTENCE.format(", ".join(unsaid)) if unsaid else "")


def data_name(experiment: Experiment) -> str:
    """What the data set is called: of one's own files, the last part of their path."""
    data = experiment.data
    return PurePath(data.path).name if data.path else data.name


def _differing(flat: Sequence[Mapping[str, str]], methods: Sequence[str]) -> list[str]:
    """The keys in which those differ that have them; what is watched, only where nothing else differs."""
    held: dict[str, set[str]] = {}
    for values in flat:
        for key, value in values.items():
            held.setdefault(key, set()).add(value)
    found = [key for key, values in held.items() if len(values) > 1]
    telling = [key for key in found if not key.startswith("watch.")]
    told = {(method, *(values.get(key) for key in telling)) for method, values in zip(methods, flat, strict=True)}
    return telling if len(told) == len(flat) else found


def _plain(value: Any) -> str:
    """A value as text, exactly."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    if isinstance(value, list | tuple):
        return " × ".join(map(str, value)) or "none"
    return str(value)


def _said(key: str, value: str) -> str:
    """`β = 2`, `no clipping`; of a key without words here its own, without the section."""
    with_value, without = _WORDS.get(key, ("", ""))
    if without and value in ("none", "0"):
        return without
    if with_value:
        return with_value.format(value)
    path = key if key.startswith("watch.") else key.partition(".")[2]
    words = " ".join(_GREEK.get(word, word) for word in re.split(r"[._]", path.removesuffix(".name")))
    if value in ("yes", "no", "none"):
        return f"{'with' if value == 'yes' else 'no'} {words}"
    return f"{words} = {value}"


def _method(experiment: Experiment) -> str:
    """`VAE`, `contrastive VAE`, `consistency + IWAE`; of a method from outside the zoo, its class."""
    methods = canonical(experiment.model.method)
    words = [_ABBREVIATED.get(name, name.rpartition(":")[2].replace("_", " ")) for name in methods]
    alone = len(methods) == 1 and methods[0] not in _ABBREVIATED and not is_outside(methods[0])
    return f"{words[0]} VAE" if alone else " + ".join(words)
