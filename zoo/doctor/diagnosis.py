"""From figures to a verdict in plain words. What counts as collapse is decided here, and nowhere else.

One rule; the first line that holds is the verdict:

| verdict | rule |
|---|---|
| diverged | the ELBO ended below its best by more than its size |
| undertrained | a symptom of collapse, but codes are still being learnt (below) |
| collapsed | a symptom: no active unit, under 0.5 nats of mutual information, or a decoder that ignores the code |
| partial | not every unit is informative: active, with a rate of 0.1 nats or more |
| healthy | none of these |

Codes are still being learnt if the output is not dead, they never knew clearly more, and either information or rate
grew up to the last measurement, or fewer than `EARLY` steps were taken and the rate is not nought. `docs/results.md`
has the verdicts on runs whose state is known (`benchmarks/verdicts.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from zoo.doctor.history import History, Row, since, summarise, units_lost
from zoo.experiments.schema import Alarm
from zoo.metrics.thresholds import ACTIVE, FAINT
from zoo.training.growth import is_early

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
# Nats from log n at which an estimate of mutual information says no more than that it is high.
CEILING = 0.1

# What `diagnose` reads.
FIGURES = ("rate", "mutual_information", "active_units", "rate_per_unit", "unit_variances", "decoder_sensitivity")
# Those of them that have a value for each unit.
VECTORS = ("rate_per_unit", "unit_variances")

Verdict = Literal["diverged", "undertrained", "collapsed", "partial", "healthy"]
# Those that end `zoo doctor` with exit code 1.
FAILED = ("collapsed", "diverged")


class Unit(NamedTuple):
    """One latent unit, by its place in the code; its state is `informative`, `faint` or `dead`."""

    number: int
    rate: float
    variance: float
    state: str


class Diagnosis(NamedTuple):
    """What is wrong, in words and for machines.

    Attributes:
        verdict: as the module's table has them.
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

    @property
    def symptom(self) -> bool:
        """Whether codes or decoder have collapsed by the figures, be it too early for the verdict or not."""
        return self.posterior or self.decoder


def diagnose(figures: dict[str, Measured], rows: Sequence[Row] = ()) -> Diagnosis:
    """Judges the figures of an evaluation.

    Args:
        figures: those that `FIGURES` names, of one split, as `zoo evaluate` gives them.
        rows: the epochs of the training, as `metrics.jsonl` has them; none for a model without a history.
    """
    units, history = _units(figures), summarise(rows)
    sensitivity = figures["decoder_sensitivity"].value
    active, information = round(figures["active_units"].value), figures["mutual_information"].value
    posterior, decoder, dead = _low(active, information), sensitivity < SENSITIVITY, sensitivity < DEAD
    informative = sum(unit.state == "informative" for unit in units)
    verdict: Verdict
    if history.fallen is not None:
        verdict = "diverged"
    elif posterior or decoder:
        learning = not dead and _learning(history, figures["rate"].value)
        verdict = "undertrained" if learning else "collapsed"
    else:
        verdict = "healthy" if informative == len(units) else "partial"
    first, when = None, ""
    if verdict == "collapsed" and posterior:
        first, when = since(history, _low)
    elif verdict == "partial":
        when = units_lost(history)
    findings = [*_of_posterior(figures, units), _of_decoder(sensitivity), *([when] if when else [])]
    findings += _of_training(verdict, history)
    summary = _summary(verdict, history, (informative, len(units), information), posterior=posterior)
    return Diagnosis(verdict, summary, posterior, decoder, dead, history.rising, first, findings, units)


def not_a_number(where: str) -> Diagnosis:
    """The diagnosis of a training that ended when its loss was no number any more, as `where` says."""
    summary = f"training diverged: {where.strip()}"
    return Diagnosis("diverged", summary, False, False, False, False, None, [], [])


def suspect(rows: Sequence[Row]) -> bool:
    """Whether the last measurement of a training shows a symptom of collapse, so that the doctor should look at it."""
    measured = summarise(rows).measured
    return bool(measured) and _low(*measured[-1][1:])


def _low(active: int, information: float) -> bool:
    return active < UNITS or information < INFORMATION


def _learning(history: History, rate: float) -> bool:
    """Whether *not yet* is said rather than *no longer*."""
    if history.lost:
        return False
    return bool(history.growing) or is_early(history.steps, rate)


def _summary(verdict: Verdict, history: History, figures: tuple[int, int, float], *, posterior: bool) -> str:
    informative, units, information = figures
    steps = "" if history.steps is None else f" after {history.steps:,} steps"
    so_far = "the codes say little about the images" if posterior else "the decoder uses little of the codes"
    if verdict == "collapsed" and not posterior:
        return "collapsed at the decoder: the codes do tell images apart, but the decoder ignores them"
    if verdict == "partial" and not informative:
        return f"nearly collapsed: none of {units} units is informative; together they hold {information:.2g} nats"
    return {
        "diverged": f"training diverged: its best ELBO was after epoch {history.fallen}, and it ended far below",
        "undertrained": f"undertrained, not collapsed: {so_far}{steps}; train longer",
        "collapsed": "the posterior has collapsed: the codes say next to nothing about the images",
        "partial": f"no collapse of the whole posterior, but of some units: {informative} of {units} are informative",
        "healthy": f"no collapse: all {units} units are informative and the decoder uses them",
    }[verdict]


def _units(figures: dict[str, Measured]) -> list[Unit]:
    rates, variances = figures["rate_per_unit"].values or [], figures["unit_variances"].values or []
    found = []
    for number, (rate, variance) in enumerate(zip(rates, variances, strict=True)):
        state = "dead" if variance <= ACTIVE else "faint" if rate < FAINT else "informative"
        found.append(Unit(number, rate, variance, state))
    return sorted(found, key=lambda unit: -unit.rate)


def _numbered(numbers: list[str]) -> str:
    return f"{'unit' if len(numbers) == 1 else 'units'} {', '.join(numbers)}"


def _of_posterior(figures: dict[str, Measured], units: list[Unit]) -> list[str]:
    information, n = figures["mutual_information"].value, figures["mutual_information"].examples
    active, rate = round(figures["active_units"].value), figures["rate"].value
    found = [f"{active} of {len(units)} units are active (the variance of their mean over images is above {ACTIVE})"]
    if faint := [str(unit.number) for unit in sorted(units) if unit.state == "faint"]:
        found.append(f"faint, active but with a rate below {FAINT} nats: {_numbered(faint)}")
    if active > 0 and (dead := [str(unit.number) for unit in sorted(units) if unit.state == "dead"]):
        found.append(f"dead: {_numbered(dead)}")
    found.append(
        f"mutual information {information:.4g} nats, of at most log n = {math.log(n):.2f} for {n:,} test images"
    )
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


def _of_training(verdict: Verdict, history: History) -> list[str]:
    found = []
    if verdict == "undertrained" and history.growing:
        found.append(f"at the end these still grew: {', '.join(history.growing)} (validation images)")
    elif verdict == "undertrained":
        found.append(f"{history.steps:,} steps are too few to tell a collapse from a beginning")
    if verdict == "collapsed" and history.lost:
        best = max(history.measured, key=lambda row: row[2])
        found.append(f"the codes knew more: {best[2]:.2f} nats after epoch {best[0]} (validation images)")
    if history.measured and verdict in ("healthy", "partial") and _low(*history.measured[-1][1:]):
        _, active, information = history.measured[-1]
        found.append(
            f"on the validation images the training last measured {information:.2f} nats and {active} active units, "
            "a symptom of collapse: the two sets disagree, so look again with more images or after more epochs"
        )
    if history.rising and verdict != "diverged":
        found.append("the ELBO of the validation images still rose in the last epoch: training had not ended its work")
    return found
