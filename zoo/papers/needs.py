"""Which figures a table needs of its runs' evaluations, and how to ask `zoo evaluate` for them."""

from __future__ import annotations

from typing import NamedTuple

from zoo.doctor.diagnosis import FIGURES
from zoo.experiments.run_directory import RunDirectory
from zoo.metrics.names import GROUPS, TRAINING, named
from zoo.papers.entries import Evaluation
from zoo.report.columns import Column

# Figures that came to a group later, and that it has of every model on two examples or more.
_ADDED = ("mutual_information_in_batches", "self_comparison")


def _group(metric: str) -> str:
    """Of a metric; a group's own name, as it stands among the reasons, is left as it is."""
    return metric if metric in GROUPS else named(metric).group


class Needs(NamedTuple):
    """The metrics of one split, and how the likelihood is to be estimated."""

    metrics: tuple[str, ...]
    evaluation: Evaluation

    def __bool__(self) -> bool:
        """Whether anything is to be measured."""
        return bool(self.metrics)

    def missing(self, run: RunDirectory, split: str) -> Needs:
        """What was not measured on a split: groups of metrics, or a likelihood of other samples or fewer images.

        A group counts as measured with any of its metrics, for not every method has all of them, and also where an
        evaluation has said why it cannot be. Of a figure that earlier versions of the zoo did not measure, it does not.
        """
        found, left_out = run.figures(split), run.left_out(split)
        measured = {_group(name) for name in [*found, *left_out]}
        lacking = [name for name in self.metrics if _group(name) not in measured]
        size = max((figure["examples"] for figure in found.values()), default=0)
        if size > 1:
            known = {*found, *left_out, *lacking}
            lacking += [name for name in _ADDED if name in self.metrics and not known & {name, _group(name)}]
        if "nll" in self.metrics and "nll" in found:
            fewer = found["nll"]["examples"] < min(self.evaluation.nll_images or size, size)
            if fewer or not found["nll"]["note"].startswith(f"{self.evaluation.nll_samples} importance samples"):
                lacking.append("nll")
        return self._replace(metrics=tuple(lacking))

    def arguments(self) -> list[str]:
        """Of `zoo evaluate`."""
        groups = list(dict.fromkeys(map(_group, self.metrics)))
        found = ["--metrics", ",".join(groups)]
        if "nll" in groups:
            samples, images = self.evaluation.nll_samples, self.evaluation.nll_images or 0
            found += ["--nll-samples", str(samples), "--nll-images", str(images)]
        return found


def needs_of(columns: list[Column], evaluation: Evaluation) -> dict[str, Needs]:
    """What the columns of a table need, by split, and what tells whether a model has collapsed, which no ✓ rests on."""
    found: dict[str, list[str]] = {}
    for column in columns:
        name = named(column.metric)
        if name.group != TRAINING:
            found.setdefault(column.split, []).append(name.minus or column.metric)
    if found:
        found["test"] = [*found.get("test", []), *FIGURES]
    return {split: Needs(tuple(dict.fromkeys(metrics)), evaluation) for split, metrics in found.items()}
