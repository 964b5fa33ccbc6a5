"""From figures to a verdict in plain words. What counts as collapse is decided here, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from zoo.experiments.schema import Alarm

if TYPE_CHECKING:
    from zoo.experiments.evaluation import Measured

# Fewer nats, or fewer active units, are a collapsed posterior. The alarm's, so that doctor and training agree: half a
# nat does not tell even two kinds of images apart (log 2 = 0.69).
INFORMATION: float = Alarm().mutual_information
UNITS: int = Alarm().active_units
# A decoder whose output varies over codes by less than this share of the data's variance ignores them: the leading
# component of MNIST alone has a tenth, and working models that we measured had 0.14 and more. Below DEAD only the
# rounding of a saturated output is left.
SENSITIVITY = 0.01
DEAD = 1e-6
# A unit is dead if its mean varies no more over images: the threshold of the metric `active_units`, so that both agree.
VARIANCE = 0.01
# A unit that is not dead but spends less on average than this is called faint: it moves, and says next to nothing.
FAINT = 0.1
# An ELBO that rose by more than this share in the last epoch was still on its way.
RISING = 1e-3
# Nats from log n at which an estimate of mutual information says no more than that it is high.
CEILING = 0.1

# What `diagnose` reads.
FIGURES = ("rate", "mutual_information", "active_units", "rate_per_unit", "unit_variances", "decoder_sensitivity")
# Those of them that have a value for each unit.
VECTORS = ("rate_per_unit", "unit_variances")

Verdict = Literal["collapsed", "partial", "healthy"]


class Unit(NamedTuple):
    """One latent unit, by its place in the code."""

    number: int
    rate: float
    variance: float
    state: str


class Diagnosis(NamedTuple):
    """What is wrong, in words and for machines.

    Attributes:
        verdict: `collapsed`, `partial` (some units are dead) or `healthy`.
        summary: the verdict in a sentence.
        posterior: whether the codes say nothing about the images.
        decoder: whether the decoder ignores the codes.
        dead: whether its output does not move at all.
        rising: whether the ELBO still rose when training ended.
        since: the first epoch of the collapse that lasts to the end; None where there is none, or nothing shows it.
        findings: what the verdict rests on, a sentence each.
        units: all of them, the most informative first.
    """

    verdict: Verdict
    summary: str
    posterior: bool
    decoder: bool
    dead: bool
    rising: bool
    since: int | None
    findings: list[str]
    units: list[Unit]


def diagnose(figures: dict[str, Measured], rows: Sequence[dict[str, float]] = ()) -> Diagnosis:
    """Judges the figures of an evaluation.

    Args:
        figures: those that `FIGURES` names, of one split, as `zoo evaluate` gives them.
        rows: the epochs of the training, as `metrics.jsonl` has them; none for a model without a history.
    """
    units = _units(figures)
    active, information = round(figures["active_units"].value), figures["mutual_information"].value
    sensitivity = figures["decoder_sensitivity"].value
    posterior = active < UNITS or information < INFORMATION
    decoder = sensitivity < SENSITIVITY
    verdict: Verdict = "collapsed" if posterior or decoder else "partial" if active < len(units) else "healthy"
    first, when = _since(rows) if posterior else (None, _lost(rows) if verdict == "partial" else "")
    rising = _rising(rows)
    findings = [*_of_posterior(figures, units), _of_decoder(sensitivity), *([when] if when else [])]
    if rising and verdict != "healthy":
        findings.append(
            "the ELBO of the validation images still rose in the last epoch: training had not ended its work"
        )
    summary = {
        "healthy": f"no collapse: all {len(units)} units are active and the decoder uses them",
        "partial": f"no collapse of the whole posterior, but of some units: {active} of {len(units)} are active",
        "collapsed": "the posterior has collapsed: the codes say next to nothing about the images",
    }[verdict]
    if decoder and not posterior:
        summary = "collapsed at the decoder: the codes do tell images apart, but the decoder ignores them"
    return Diagnosis(verdict, summary, posterior, decoder, sensitivity < DEAD, rising, first, findings, units)


def _units(figures: dict[str, Measured]) -> list[Unit]:
    rates, variances = figures["rate_per_unit"].values or [], figures["unit_variances"].values or []
    found = []
    for number, (rate, variance) in enumerate(zip(rates, variances, strict=True)):
        state = "dead" if variance <= VARIANCE else "faint" if rate < FAINT else "active"
        found.append(Unit(number, rate, variance, state))
    return sorted(found, key=lambda unit: -unit.rate)


def _of_posterior(figures: dict[str, Measured], units: list[Unit]) -> list[str]:
    information, n = figures["mutual_information"].value, figures["mutual_information"].examples
    active, rate = round(figures["active_units"].value), figures["rate"].value
    found = [f"{active} of {len(units)} units are active (the variance of their mean over images is above {VARIANCE})"]
    if faint := [str(unit.number) for unit in sorted(units) if unit.state == "faint"]:
        found.append(f"faint units, active but with a rate below {FAINT} nats: {', '.join(faint)}")
    if active > 0 and (dead := [str(unit.number) for unit in sorted(units) if unit.state == "dead"]):
        found.append(f"dead units: {', '.join(dead)}")
    found.append(f"mutual information {information:.4g} nats, of at most log n = {math.log(n):.2f} for {n:,} images")
    if math.log(n) - information < CEILING:
        found.append("that is the ceiling of the estimate: the codes may know more, and more images would show it")
    best = units[0]
    found.append(f"rate {rate:.4g} nats, of which the largest part, {best.rate:.4g}, is unit {best.number}'s")
    if information < INFORMATION <= rate:
        found.append(
            "the posterior is nearly the same for every image without being the prior: a rate paid for nothing"
        )
    return found


def _of_decoder(sensitivity: float) -> str:
    share = f"decoder's sensitivity to z {sensitivity:.4g} (variance of its output over codes, of the data's)"
    if sensitivity < DEAD:
        return f"{share}: the output is dead (saturated), the same to the last bit or nearly so whatever the code"
    return f"{share}: much the same image comes out whatever the code" if sensitivity < SENSITIVITY else share


def _measured(rows: Sequence[dict[str, float]]) -> list[tuple[int, int, float]]:
    """(epoch, active units, mutual information) of the epochs in which they were measured."""
    names = ("epoch", "val_active_units", "val_mutual_information")
    return [
        (int(row["epoch"]), int(row[names[1]]), row[names[2]]) for row in rows if all(name in row for name in names)
    ]


def _since(rows: Sequence[dict[str, float]]) -> tuple[int | None, str]:
    """The first epoch of the collapse that lasts to the end, and a sentence about it."""
    history = _measured(rows)
    before, first = None, None
    for row in history:
        epoch, active, information = row
        if active < UNITS or information < INFORMATION:
            first = epoch if first is None else first
        else:
            before, first = row, None
    if first is None:
        return None, "when it began is not known: no measurement during training shows it" if rows else ""
    if before is None:
        when = "from the first epoch on" if first == 1 else f"from the first measurement on, after epoch {first}"
        return first, f"collapsed {when}"
    return first, (
        f"collapsed since epoch {first}; after epoch {before[0]} there were still {before[1]} active units and "
        f"{before[2]:.2f} nats (validation images)"
    )


def _rising(rows: Sequence[dict[str, float]]) -> bool:
    elbos = [row["val_elbo"] for row in rows if "val_elbo" in row][-2:]
    return len(elbos) == 2 and elbos[1] - elbos[0] > RISING * abs(elbos[1])


def _lost(rows: Sequence[dict[str, float]]) -> str:
    """A sentence about active units that were lost on the way."""
    history = _measured(rows)
    if not history:
        return ""
    best = max(history, key=lambda row: row[1])
    last = history[-1]
    if best[1] == last[1]:
        return ""
    return (
        f"units were lost in training: {best[1]} were active after epoch {best[0]}, {last[1]} after epoch {last[0]} "
        "(validation images)"
    )
