"""What a reader must know before setting our numbers beside a paper's, as far as the configurations tell it."""

from __future__ import annotations

from typing import Any

import yaml

from zoo.data.catalogue import source
from zoo.data.splits import resolve
from zoo.papers.entries import Evaluation
from zoo.papers.table import Cell, PaperTable
from zoo.report.content import Row


def differences(table: PaperTable, used: list[Cell], rows: list[Row], evaluation: Evaluation) -> list[str]:
    """Sentences on seeds, settings and likelihoods.

    Args:
        table: with the settings of the full run.
        used: the cells that were run, in this budget.
        rows: of the report.
        evaluation: how likelihoods were estimated.
    """
    found = _splits(used)
    seeds = sorted({len(row.runs) for row in rows if row.runs})
    if seeds and seeds != [table.seeds]:
        found.append(f"Seeds: {' or '.join(map(str, seeds))} instead of {table.seeds}.")
    full = {(cell.row, cell.data): cell for cell in table.cells("full")}
    changed: dict[tuple[str, str, str], set[str]] = {}
    for cell in used:
        reference = full.get((cell.row, cell.data))
        if cell.experiment is None or reference is None:
            continue
        if reference.experiment is None:
            changed.setdefault(("the printed experiment", "another", reference.missing), set()).add(cell.row)
            continue
        ours, printed = cell.experiment.flat(), reference.experiment.flat()
        tuned = table.rows[cell.row].tune
        for key in [*ours, *(key for key in printed if key not in ours)]:
            if key not in tuned and ours.get(key) != printed.get(key):
                changed.setdefault((key, _value(ours.get(key)), _value(printed.get(key))), set()).add(cell.row)
    everyone = {cell.row for cell in used if cell.experiment is not None}
    for (key, ours_, printed_), who in changed.items():
        rest = "" if who == everyone else f" ({_listed(sorted(who))})"
        if key == "the printed experiment":
            found.append(f"Another experiment stands in for the printed one, which needs {printed_}{rest}.")
        else:
            found.append(f"{key}: {ours_} instead of {printed_}{rest}.")
    if any(column.metric == "nll" for column in table.columns) and evaluation != table.evaluate:
        small, whole = evaluation, table.evaluate
        images = " instead of ".join(
            "all" if one.nll_images is None else f"{one.nll_images:,}" for one in (small, whole)
        )
        found.append(f"NLL: {small.nll_samples} importance samples of {images} test images.")
    return found


def _splits(used: list[Cell]) -> list[str]:
    """A sentence for each data set: on how many examples its models were trained, watched and measured."""
    roles = {"train": "to train", "validation": "to validate", "test": "to test"}
    found: dict[str, None] = {}
    for cell in used:
        if cell.experiment is None:
            continue
        data = cell.experiment.data
        sizes, parts = source(data.name).sizes, []
        for role, words in roles.items():
            split = str(getattr(data, role))
            count = sum(part.stop - part.start for part in resolve(split, sizes, data.name)) if sizes else 0
            parts.append(f"{count:,} examples {words} ({split})" if count else f"{split} {words}")
        found[f"Splits of {cell.data}: {', '.join(parts)}."] = None
    return list(found)


def _value(value: Any) -> str:
    return "none" if value is None else yaml.safe_dump(value, default_flow_style=True).split("\n")[0]


def _listed(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))
