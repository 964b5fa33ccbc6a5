"""Claims against numbers, and what differs from the paper."""

import math
import statistics
from dataclasses import replace

import pytest
from test_writing import COLLAPSED, HEALTHY

from zoo.experiments.schema import ConfigurationError
from zoo.papers.claims import judge, judgements, printed_verdict
from zoo.papers.differences import differences
from zoo.papers.entries import Claim
from zoo.papers.table import PaperTable, load
from zoo.report.columns import Column, Estimate, Printed, shown
from zoo.report.content import Row, RunSummary


def table(**changes):
    values = {
        "name": "own/t",
        "title": "t",
        "source": "s",
        "seeds": 2,
        "experiments": {"digits": "digits/vae", "mnist": "mnist/vae"},
        "columns": [
            {"metric": "rate", "header": "KL"},
            {"metric": "mutual_information", "header": "MI", "better": "higher"},
            {"metric": "nll", "header": "NLL", "better": "lower"},
        ],
        "rows": {"A": {}, "B": {"set": {"model.beta": 2}}, "C": {"recipe": "zoo"}},
        "printed": {"digits": {"A": ["1.50 ± 0.25", 3, None], "B": [2, 1, 90]}},
        "claims": [{"says": "A informs most", "metric": "mutual_information", "best": "A"}],
        "small": {"set": {"train.epochs": 3}, "seeds": 1},
    }
    return PaperTable.model_validate({**values, **changes})


def of(**means):
    """Of two seeds that differ by next to nothing, where nothing else is said."""
    return {row: value if isinstance(value, Estimate) else Estimate(value, 1e-6, 2) for row, value in means.items()}


BEST = Claim(says="A is best", metric="x", best="A")
ORDER = Claim(says="A, then B, then C", metric="x", order=["A", "B", "C"])
ALIKE = Claim(says="A, B and C are the same", metric="x", alike=["A", "B", "C"])


@pytest.mark.parametrize(
    ("claim", "better", "found", "verdict"),
    [
        (BEST, "higher", of(A=3.0, B=2.0), "shown"),
        (BEST, "lower", of(A=3.0, B=2.0), "contradicted"),
        (BEST, "higher", of(A=2.0, B=2.0), "not shown"),
        (ORDER, "higher", of(A=2.0, B=2.0, C=1.0), "not shown"),
        (ORDER, "higher", of(A=2.0, B=2.0, C=3.0), "contradicted"),
        # A single seed shows nothing, whatever the difference.
        (BEST, "higher", of(A=Estimate(9.0, None, 1), B=2.0), "not shown"),
        (BEST, "lower", of(A=9.0, B=Estimate(2.0, None, 1)), "not shown"),
        (BEST, "higher", of(B=2.0), "not measured"),
        (BEST, "higher", of(A=math.nan, B=2.0), "not measured"),
        (BEST, "higher", of(A=1.0, B=math.nan), "not measured"),
        (BEST, "higher", of(A=1.0, B=math.nan, C=0.5), "shown"),
        (BEST, "higher", of(A=2.0), "not measured"),
        (ORDER, "lower", of(A=1.0, B=2.0, C=3.0), "shown"),
        (ORDER, "lower", of(A=1.0, B=3.0, C=2.0), "contradicted"),
        (ORDER, "lower", of(A=1.0, B=3.0), "not measured"),
        (ALIKE, "higher", of(A=1.0, B=1.0, C=1.0), "not shown"),
        (ALIKE, "higher", of(A=1.0, B=1.0, C=2.0), "contradicted"),
        (ALIKE, "lower", of(A=3.0, B=Estimate(2.9, 0.4, 4), C=Estimate(2.9, 0.4, 4)), "not shown"),
        (ALIKE, "higher", of(A=1.0, B=1.0), "not measured"),
        (ALIKE, "higher", of(A=1.0, B=1.0, C=math.nan), "not measured"),
        # √(0.4²/4 + 0.3²/4) = 0.25: a gap of 0.49 is under two of them, one of 0.51 is not, either way round.
        (BEST, "higher", of(A=Estimate(2.49, 0.4, 4), B=Estimate(2.0, 0.3, 4)), "not shown"),
        (BEST, "higher", of(A=Estimate(2.51, 0.4, 4), B=Estimate(2.0, 0.3, 4)), "shown"),
        (BEST, "higher", of(A=Estimate(1.51, 0.4, 4), B=Estimate(2.0, 0.3, 4)), "not shown"),
        (BEST, "higher", of(A=Estimate(1.49, 0.4, 4), B=Estimate(2.0, 0.3, 4)), "contradicted"),
    ],
)
def test_a_claim_is_judged_by_order_and_noise(claim, better, found, verdict):
    assert judge(claim, better, found)[0] == verdict


def test_a_verdict_names_the_numbers_that_it_rests_on():
    verdict, because = judge(ORDER, "higher", of(A=3.0, B=1.0, C=2.0))
    assert verdict == "contradicted" and because == "C (2) against B (1)"
    noisy = judge(BEST, "higher", of(A=Estimate(2.49, 0.4, 4), B=Estimate(2.0, 0.3, 4)))[1]
    assert noisy == "A (2.49) against B (2): 0.49 apart, two standard errors are 0.5"
    assert "A" in judge(ORDER, "higher", of(B=1.0, C=2.0))[1]


def test_a_row_of_our_own_does_not_refute_the_paper_but_is_named():
    verdict, because = judge(BEST, "higher", of(A=3.0, B=2.0), of(C=4.0, D=1.0))
    assert verdict == "shown" and "C" in because and "D" not in because


@pytest.mark.parametrize(("state", "verdict"), [(False, "shown"), (True, "not shown"), (None, "not shown")])
def test_a_collapsed_model_wins_nothing_and_loses_as_any_other(state, verdict):
    found = of(A=0.1, B=2.0)
    assert judge(BEST, "lower", found, collapsed={"A": state, "B": False})[0] == verdict
    assert judge(BEST, "lower", found, collapsed={"A": False, "B": state})[0] == "shown"
    contrary = judge(BEST, "higher", found, collapsed={"A": False, "B": state})[0]
    assert contrary == ("contradicted" if verdict == "shown" else verdict)


def test_judgements_leave_rows_of_the_zoos_recipe_out_of_the_papers_claim():
    runs = [RunSummary(seed, "", "", {}, HEALTHY) for seed in range(2)]
    rows = [Row("A", "digits", {"mutual_information": [3.0, 3.1]}, runs=runs),
            Row("B", "digits", {"mutual_information": [1.0, 1.0]}, runs=runs),
            Row("C", "digits", {"mutual_information": [9.0]}, runs=runs)]  # fmt: skip
    found = judgements(table(), rows)
    # The paper prints no spread there.
    assert [(one.data, one.verdict, one.printed) for one in found] == [("digits", "shown", "not shown")]
    assert found[0].printed_because == "A (3) against B (1): a spread over seeds is missing"
    for seeds in (1, 2):
        ill = [RunSummary(0, "", "", {}, COLLAPSED), *runs][:seeds]
        assert judgements(table(), [replace(rows[0], runs=ill), rows[1]])[0].verdict == "not shown"
    assert "C" in found[0].because


def test_a_best_row_says_which_of_the_papers_rows_it_was_not_compared_with():
    rows = [Row("A", "digits", {"mutual_information": [2.0]}), Row("B", "digits", {"mutual_information": [1.0]})]
    printed = {"digits": {"A": [1, 3, None], "B": [2, 1, 90], "D": [1, 2, 3]}}
    found = judgements(table(rows={"A": {}, "B": {}, "D": {}}, printed=printed), rows)
    assert found[0].verdict == "not shown" and found[0].because.endswith("; not measured: D")


def test_the_printed_numbers_are_judged_by_the_same_rule():
    claim = Claim(says="B is best", metric="mutual_information", best="B")
    found = table(printed={"digits": {"A": [1, "3 ± 0.2", None], "B": [2, "1 ± 0.1", 90]}})
    assert printed_verdict(found, claim, found.columns[1], "digits") == ("contradicted", "A (3) against B (1)")
    assert printed_verdict(found, claim, found.columns[1], "mnist") == ("not printed", "")
    assert printed_verdict(table(), claim, found.columns[1], "digits")[0] == "not shown", "no spread is printed"
    # By the printed information B has collapsed there: it comes nearest to nothing, and that is no merit.
    nearest = Claim(says="B informs least", metric="nll", best="B")
    low = table(printed={"digits": {"A": [1, "3 ± 0.2", "95 ± 0.1"], "B": [2, "0.1 ± 0.1", "90 ± 0.1"]}})
    verdict, because = printed_verdict(low, nearest, low.columns[2], "digits")
    assert verdict == "not shown" and because.endswith("B has codes that say next to nothing, which is no merit")
    high = table(printed={"digits": {"A": [1, "3 ± 0.2", "95 ± 0.1"], "B": [2, "0.6 ± 0.1", "90 ± 0.1"]}})
    assert printed_verdict(high, nearest, high.columns[2], "digits")[0] == "shown"
    alone = found.model_copy(update={"seeds": 1})
    assert printed_verdict(alone, claim, found.columns[1], "digits")[0] == "not shown", "one seed"


def test_estimates_are_mean_and_sample_deviation():
    row = Row("A", "digits", {"rate": [1.0, 2.0, 6.0], "nll": [5.0]})
    assert row.estimate("rate") == Estimate(3.0, pytest.approx(statistics.stdev([1, 2, 6])), 3)
    assert row.estimate("rate").standard_error == pytest.approx(math.sqrt(7) / math.sqrt(3))
    assert row.estimate("nll") == Estimate(5.0, None, 1) and math.isnan(row.estimate("nll").standard_error)
    assert row.estimate("mutual_information") is None
    assert shown(Column(metric="rate", header="KL", digits=1), 3.04, 0.16) == "3.0 (0.2)"
    assert shown(Column(metric="rate", header="KL"), 3.04, None) == "3.04"


def test_printed_numbers_are_read_with_their_deviation():
    assert table().number("digits", "A", table().columns[0]) == Printed(1.5, 0.25)
    assert table().number("digits", "A", table().columns[2]) is None
    assert table().number("digits", "B", table().columns[2]) == Printed(90.0)
    assert table().number("mnist", "A", table().columns[0]) is None


def test_cells_apply_the_rows_settings_and_the_budget():
    full, small = table().cells("full"), table().cells("small", ("train.seed=7",))
    assert [(cell.row, cell.data) for cell in full] == [(r, d) for d in ("digits", "mnist") for r in "ABC"]
    assert {cell.experiment.train.epochs for cell in small} == {3} and small[0].experiment.train.seed == 7
    assert [cell.experiment.model.beta for cell in full[:3]] == [1.0, 2.0, 1.0]
    restricted = table(rows={"A": {"data": ["mnist"]}, "B": {}}, claims=[], small={"rows": ["B"]})
    assert [(cell.row, cell.data) for cell in restricted.cells("full")] == [
        ("B", "digits"),
        ("A", "mnist"),
        ("B", "mnist"),
    ]
    assert [(cell.row, cell.data) for cell in restricted.cells("small")] == [("B", "digits"), ("B", "mnist")]


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"model.method": "lagging"}, "method lagging"),
        ({"model.method": ["vae", "infomax"]}, "method infomax"),
        ({"model.network": {"name": "pixelcnn", "layers": 13}}, "network pixelcnn"),
        ({"data.name": "yelp", "model.method": "skip"}, "method skip, data set yelp"),
    ],
)
def test_what_is_not_built_yet_is_named_and_not_an_error(settings, missing):
    cell = table(rows={"A": {}, "X": {"set": settings}}, printed={}).cells("full")[1]
    assert cell.experiment is None and cell.missing == missing


def test_a_misspelt_method_is_an_error_and_not_a_plan():
    with pytest.raises(ConfigurationError, match=r"own/t: X on digits: .*no 'lagign'"):
        table(rows={"A": {}, "X": {"set": {"model.method": "lagign"}}}, printed={}).cells("full")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claims": [{"says": "", "metric": "rate", "best": "Z"}]}, "no row 'Z'"),
        ({"claims": [{"says": "", "metric": "elbo", "best": "A"}]}, "no column 'elbo'"),
        ({"claims": [{"says": "", "metric": "rate"}]}, "one of `best`, `order` and `alike`"),
        ({"claims": [{"says": "", "metric": "rate", "order": ["A"]}]}, "order: needs two rows"),
        ({"claims": [{"says": "", "metric": "rate", "alike": ["A"]}]}, "alike: needs two rows"),
        ({"claims": [{"says": "", "metric": "rate", "alike": ["A", "Z"]}]}, "no row 'Z'"),
        ({"claims": [{"says": "", "metric": "rate", "alike": ["A", "B"], "best": "A"}]}, "one of `best`"),
        ({"printed": {"digits": {"A": [1, 2]}}}, "2 numbers for 3 columns"),
        ({"printed": {"cifar": {"A": [1, 2, 3]}}}, "no data set 'cifar'"),
        ({"printed": {"digits": {"A": ["1,5", 2, 3]}}}, "must be a number"),
        ({"rows": {"A": {}, "B, C": {}}}, "comma"),
        ({"rows": {}}, "at least 1"),
        ({"experiments": {"my/digits": "digits/vae"}, "printed": {}}, "'my/digits' must be letters"),
        ({"columns": [{"metric": "ratee", "header": "KL"}]}, "no metric 'ratee'; did you mean 'rate'"),
        (
            {"columns": [{"metric": "rate", "header": "KL"}] * 2, "printed": {}, "claims": []},
            "'rate' stands there twice",
        ),
        ({"figures": [{"plot": "tsen", "caption": ""}]}, "no figure 'tsen'; did you mean 'tsne'"),
        ({"figures": [{"plot": "tsne", "caption": "", "options": {"imagse": 3}}]}, "does not take 'imagse'"),
        ({"figures": [{"plot": "tsne", "caption": "", "options": {"images": "many"}}]}, "must be a whole number"),
        ({"figures": [{"plot": "history", "caption": "", "options": {"metric": 3}}]}, "must be text"),
        ({"printed": {"digits": {"A": ["1.2.3", 2, 3]}}}, "must be a number"),
    ],
)
def test_mistakes_in_a_tables_file_are_one_line(changes, message):
    with pytest.raises(ValueError, match=message):
        table(**changes)


def test_an_unknown_table_lists_the_valid_ones():
    suggestion = r"papers/contrastive/tabel3: .*did you mean 'papers/contrastive/table3'"
    with pytest.raises(ConfigurationError, match=suggestion):
        load("papers/contrastive/tabel3")


def test_differences_tell_seeds_settings_and_likelihoods():
    found = table()
    rows = [Row(row, "digits", runs=[object()]) for row in "ABC"]
    lines = differences(found, found.cells("small"), rows, found.small.evaluate)
    assert "Seeds: 1 instead of 2." in lines
    assert any(line.startswith("train.epochs: 3 instead of") for line in lines)
    assert any("500 importance samples of 200 instead of all test images" in line for line in lines)
    splits, other = differences(found, found.cells("full"), [Row("A", "digits", runs=[object()] * 2)], found.evaluate)
    assert splits == (
        "Splits of digits: 1,197 examples to train (train), 300 examples to validate (validation), 300 examples to "
        "test (test)."
    )
    assert other.startswith("Splits of mnist: 55,000 examples to train (train[:55000]), 5,000")


def test_another_experiment_for_one_that_is_not_built_is_said():
    found = table(rows={"A": {"set": {"model.network": "pixelcnn"}}}, claims=[], printed={},
                  small={"set": {"model.network": "conv"}})  # fmt: skip
    lines = differences(found, found.cells("small"), [], found.evaluate)
    assert [line for line in lines if not line.startswith("Splits")] == [
        "Another experiment stands in for the printed one, which needs network pixelcnn."
    ]


def test_a_claim_is_judged_in_the_column_that_its_paper_prints_too():
    """Of what the paper calls information our models have as much as claimed, and of its column less."""
    column = {"metric": "mutual_information_in_batches", "header": "MI in batches", "better": "higher"}
    values = table().model_dump()
    claim = {"says": "A informs most", "metric": "mutual_information", "best": "A"}
    both = table(
        columns=[*values["columns"], column],
        claims=[{**claim, "printed_as": ["mutual_information_in_batches"]}],
        printed={"digits": {"A": [1, None, None, "3 ± 0.1"], "B": [2, None, None, "1 ± 0.1"]}},
    )
    runs = [RunSummary(seed, "", "", {}, HEALTHY) for seed in range(2)]
    names = ("mutual_information", "mutual_information_in_batches")
    a, b = ({name: [v, v + 0.01] for name, v in zip(names, pair, strict=True)} for pair in ((7.0, 3.7), (6.0, 3.8)))
    found = judgements(both, [Row("A", "digits", a, runs=runs), Row("B", "digits", b, runs=runs)])
    assert [(one.says, one.verdict, one.printed) for one in found] == [
        ("A informs most (by MI)", "shown", "not printed"),
        ("A informs most (by MI in batches)", "contradicted", "shown"),
    ]
    # So little within batches is a collapse, as so little information is.
    low = {"digits": {"A": [1, None, None, "0.3 ± 0.1"], "B": [2, None, None, "0.1 ± 0.01"]}}
    collapsed = both.model_copy(
        update={"printed": PaperTable.model_validate({**both.model_dump(), "printed": low}).printed}
    )
    assert printed_verdict(collapsed, collapsed.claims[0], collapsed.columns[-1], "digits")[0] == "not shown"
    with pytest.raises(ValueError, match="no column 'self_comparison'"):
        table(claims=[{**claim, "printed_as": ["self_comparison"]}])
