"""What a report says of its rows against a baseline."""

import csv
import io
import math

import pytest
from scipy.stats import t
from test_writing import COLLAPSED, HEALTHY

from zoo.report.against import against, compared, reading, verdicts
from zoo.report.columns import Column
from zoo.report.content import Report, Row, RunSummary
from zoo.report.writers.csv import csv as as_csv
from zoo.report.writers.markdown import markdown
from zoo.report.writers.page import page

NLL = Column(metric="nll", header="NLL", better="lower")
UNITS = Column(metric="active_units", header="units", better="higher", digits=1)
RATE = Column(metric="rate", header="rate")


def row(name, nll, units, diagnosis=HEALTHY, data="mnist"):
    runs = [RunSummary(seed, f"runs/{seed}", "", {}, diagnosis) for seed in range(len(nll))]
    return Row(name, data, {"nll": nll, "active_units": units, "rate": [1.0] * len(nll)}, runs=runs)


def a_report(*rows):
    return Report("A", "", "zoo", [NLL, UNITS, RATE], [*rows], baseline="VAE")


VAE = row("VAE", [100.0, 101.0, 102.0], [10.0, 10.0, 10.0])


@pytest.mark.parametrize(
    ("nll", "units", "diagnosis", "sides"),
    [
        # The gap's standard error is √(1/3 + 1/3) = 0.82: two of them are 1.63.
        ([98.0, 99.0, 100.0], [12.0, 12.0, 12.0], HEALTHY, ("better", "better")),
        ([98.4, 99.4, 100.4], [10.0, 10.0, 10.0], HEALTHY, ("open", "open")),
        ([103.0, 104.0, 105.0], [9.0, 9.0, 9.0], HEALTHY, ("worse", "worse")),
        # Ahead by having collapsed; what is behind is behind all the same.
        ([98.0, 99.0, 100.0], [0.0, 0.0, 0.0], COLLAPSED, ("collapsed", "worse")),
        # One seed shows nothing.
        ([90.0], [20.0], HEALTHY, ("open", "open")),
    ],
)
def test_a_row_is_better_or_worse_by_two_standard_errors(nll, units, diagnosis, sides):
    found = against(a_report(VAE, row("other", nll, units, diagnosis)), "mnist")
    assert [*found] == ["other"] and [*found["other"]] == ["nll", "active_units"]
    assert tuple(one.side for one in found["other"].values()) == sides


def test_the_number_of_errors_is_that_of_welch():
    from scipy.stats import ttest_ind

    mine, its = [90.0, 94.0, 95.0], VAE.values["nll"]
    one = against(a_report(VAE, row("other", mine, [1.0, 2.0, 3.0])), "mnist")["other"]["nll"]
    assert one.errors == pytest.approx(-ttest_ind(mine, its, equal_var=False).statistic)
    assert one.text() == "▲ −8.00" and one.in_errors() == f"({one.errors:.1f} se)"


def test_a_lead_over_a_collapsed_baseline_and_one_of_it():
    base = row("VAE", [100.0, 101.0, 102.0], [0.0, 0.0, 0.0], COLLAPSED)
    found = against(a_report(base, row("other", [104.0, 105.0, 106.0], [9.0, 9.0, 9.0])), "mnist")["other"]
    # In the likelihood it is the collapsed model that is ahead.
    assert [one.side for one in found.values()] == ["collapsed", "better"]


def test_without_spread_there_are_no_errors_and_without_a_baseline_nothing():
    one = against(a_report(VAE, row("other", [90.0], [20.0])), "mnist")["other"]["nll"]
    assert math.isnan(one.errors) and one.text() == "−11.00" and one.in_errors() == ""
    elsewhere = a_report(VAE, row("other", [1.0, 2.0], [1.0, 2.0], data="omniglot"))
    assert against(elsewhere, "omniglot") == {} and against(elsewhere, "mnist") == {}
    assert "Against VAE" not in page(elsewhere)


def test_sentences_name_who_is_better_and_who_is_worse():
    report = a_report(
        VAE,
        row("good", [90.0, 91.0, 92.0], [10.0, 10.0, 10.0]),
        row("fine", [80.0, 81.0, 82.0], [10.0, 10.0, 10.0]),
        row("bad", [190.0, 191.0, 192.0], [10.0, 10.0, 10.0]),
    )
    assert compared(report) == [NLL, UNITS]
    assert verdicts(report, "mnist") == ["NLL: better good, fine; worse bad.", "units: no difference is shown."]
    text = " ".join(reading(report))
    # Two estimates of three seeds each leave four degrees of freedom.
    assert "6 comparisons" in text and f"probability of about {2 * t.sf(2, 4):.2f}" in text
    for written in (markdown(report), page(report)):
        assert "Against VAE" in written and "NLL: better good, fine; worse bad." in written.replace("\\", "")
        assert "▲ −10.00" in written and "▼ +90.00" in written and "(12.2 se)" in written


def test_the_table_has_the_figure_of_every_seed():
    lines = [*csv.DictReader(io.StringIO(as_csv(a_report(VAE))))]
    assert lines[0]["values"] == "100.0 101.0 102.0" and float(lines[0]["mean"]) == 101.0
