"""Which figures a table needs of its runs' evaluations, and how to ask `zoo evaluate` for them."""

from __future__ import annotations

from typing import NamedTuple

from zoo.doctor.diagnosis import FIGURES
from zoo.experiments.run_directory import RunDirectory
from zoo.metrics.names import GROUPS, TRAINING, named
from zoo.papers.entries import Evaluation
from zoo.report.columns import Column


def _group(metric: str) -> str:
    """Of a metric; a group's own name, as it stands among the reasons, is left as it is."""
    return metric if metric in GROUPS else named(metric).group


class Needs(NamedTuple):
    """The metrics of one split, and how the likelihood is to be estimated."""

    metrics: tuple[str, ...]
    evaluation: Evaluation

    def missing(self, run: RunDirectory, split: str) -> bool:
        """Whether a group of metrics was not measured on a split, or a likelihood of other samples or fewer images.

        A group counts as measured with any of its metrics, for not every method has all of them, and also where an
        evaluation has said why it cannot be.
        """
        found, left_out = run.figures(split), run.left_out(split)
        if {_group(name) for name in self.metrics} - {_group(name) for name in [*found, *left_out]}:
            return True
        if "nll" not in self.metrics or "nll" not in found:
            return False
        size = max(figure["examples"] for figure in found.values())
        fewer = found["nll"]["examples"] < min(self.evaluation.nll_images, size)
        return fewer or not found["nll"]["note"].startswith(f"{self.evaluation.nll_samples} importance samples")

    def arguments(self) -> list[str]:
        """Of `zoo evaluate`."""
        groups = list(dict.fromkeys(map(_group, self.metrics)))
        found = ["--metrics", ",".join(groups)]
        if "nll" in groups:
            samples, images = self.evaluation.nll_samples, self.evaluation.nll_images
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
