"""The files of the papers' tables and figures: that they load and resolve, and what they say of the printed numbers."""

from __future__ import annotations

import functools
import itertools
import math
import re
import subprocess
import sys

import pytest

from zoo.data.catalogue import CATALOGUE
from zoo.data.splits import resolve
from zoo.experiments import configurations
from zoo.metrics.names import GROUPS, NAMES, TRAINING, named
from zoo.models import METHODS, canonical, claims
from zoo.networks import NETWORKS
from zoo.papers.claims import printed_verdict
from zoo.papers.entries import Claim
from zoo.papers.planned import PLANNED
from zoo.papers.table import BUDGETS, Cell, PaperTable, load, names
from zoo.report.columns import Column
from zoo.report.gallery.plot import check

WANTED = {
    "contrastive": "table2 table3 figure3 figure4 figure5",
    "consistency": "table1 table2 table3 table4 table5 table6 figure1",
    "noise_contrastive": "table1 table2 figure2 figure3 figure4 figure5",
    "critic": "table1 table2 table3 figure3 figure4 appendix_e",
    "auxiliary_softmax": "table1 table2 table3 figure2 figure3 figure4 figure5 experiment1",
}
TABLES = [f"{paper}/{name}" for paper, found in WANTED.items() for name in found.split()]
# What every machine can have: of Omniglot the small budget takes one of its authors' small sets.
SIZES = {
    "mnist": {"train": 60_000, "test": 10_000},
    "omniglot": {"train": 19_280, "test": 13_180, "small1": 2_720, "small2": 3_120},
}
AT_HAND = (*SIZES, "digits", "gaussians")
# What a claim says where the paper's own numbers are against it.
CONTRADICTED = "the printed numbers contradict it"

# Claims on numbers of two quantities, which the paper compares all the same.
UNLIKE = ("CR-VAE with the others' batch of 50 has more mutual information than the best of them",)

TERMS = {"distortion", "rate", "elbo", "sum_of_squares", *(term for name in METHODS for term in claims(name))}
METRICS = (
    TERMS
    | {metric for metric, name in NAMES.items() if name.group in GROUPS and not name.minus}
    | {f"{term}_{prior}_prior" for term in ("rate", "elbo") for prior in ("optimal", "tuned")}
)


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> PaperTable:
    return _load(f"papers/{request.param}")


@functools.cache
def _load(name: str) -> PaperTable:
    return load(name)


@functools.cache
def _cells_of(name: str, budget: str) -> list[Cell]:
    return _load(name).cells("small" if budget == "small" else "full")


def _cells(table: PaperTable, budget: str) -> list[Cell]:
    return _cells_of(table.name, budget)


def test_there_is_a_file_for_every_table_and_figure() -> None:
    papers = [name for name in names() if not name.startswith("leaderboard/")]
    assert papers == sorted(f"papers/{table}" for table in TABLES)


def test_loading_takes_no_tensorflow() -> None:
    heavy = "{'tensorflow', 'keras', 'sklearn', 'matplotlib'} & {*sys.modules}"
    # As the command: scripts get TensorFlow with the package.
    code = "import sys; sys.argv = ['zoo']; from zoo.papers.table import load, names; [load(n) for n in names()]"
    code += f"; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("budget", BUDGETS)
def test_rows_validate_or_wait_for_what_is_planned(table: PaperTable, budget: str) -> None:
    for cell in _cells(table, budget):
        assert (cell.experiment is None) == bool(cell.missing), cell
        for part in cell.missing.split(", ") if cell.missing else []:
            kind, _, name = part.rpartition(" ")
            assert name in PLANNED[kind], cell


def test_networks_and_data_are_there_or_planned(table: PaperTable) -> None:
    for base in (*table.experiments.values(), *table.small.experiments.values()):
        values = configurations.parse(configurations.find(base))
        network = values["model"]["network"]
        network = network["name"] if isinstance(network, dict) else network
        assert network in NETWORKS or network in PLANNED["network"], base
        assert values["data"]["name"] in CATALOGUE or values["data"]["name"] in PLANNED["data set"], base


def test_only_planned_methods_wait_where_network_and_data_have_stand_ins(table: PaperTable) -> None:
    stand_ins = ("model.network={name: mlp}", "model.likelihood=bernoulli", "data={name: digits}")
    for cell in table.cells("full", stand_ins):
        method = table.rows[cell.row].set["model.method"]
        assert (cell.missing == f"method {method}") == (method in PLANNED["method"]), cell
        assert bool(cell.experiment) != bool(cell.missing), cell


def test_small_rows_on_data_at_hand_can_be_trained(table: PaperTable) -> None:
    for cell in _cells(table, "small"):
        if cell.data in AT_HAND and "method" not in cell.missing:
            assert cell.experiment is not None, cell


def test_a_small_run_is_smaller(table: PaperTable) -> None:
    full = {(cell.row, cell.data): cell.experiment for cell in _cells(table, "full")}
    assert 200 <= table.small.evaluate.nll_images <= 500
    # A leaderboard says on how many of its own; a paper's is of the whole test set.
    assert table.evaluate.nll_images is None or not table.source
    assert table.small.seeds <= max(table.seeds, 2)
    for cell in _cells(table, "small"):
        whole = full[cell.row, cell.data]
        if cell.experiment is not None and whole is not None:
            # Two Gaussians in the plane take a minute as they are.
            assert cell.experiment.train.epochs < whole.train.epochs or cell.data == "gaussians", cell
        if cell.experiment is not None:
            assert cell.experiment.model.network["name"] in ("conv", "mlp"), cell


@pytest.mark.parametrize("budget", BUDGETS)
def test_splits_exist_and_share_no_image(table: PaperTable, budget: str) -> None:
    for cell in _cells(table, budget):
        data = cell.experiment.data if cell.experiment else None
        if data is None or data.name not in SIZES:
            continue
        used: dict[str, list[tuple[int, int]]] = {}
        for split in (data.train, data.validation, data.test):
            for part in resolve(split or "", SIZES[data.name], data.name):
                for start, stop in used.setdefault(part.name, []):
                    assert part.stop <= start or part.start >= stop, (cell, split)
                used[part.name].append((part.start, part.stop))
        # The two small sets have characters in common.
        assert not {"small1", "small2"} <= {*used}, cell


def test_every_row_of_a_table_has_its_printed_numbers(table: PaperTable) -> None:
    if "/table" not in table.name:
        assert not table.printed
        return
    assert table.printed and table.claims
    for rows in table.printed.values():
        assert list(rows) == [row for row, settings in table.rows.items() if settings.recipe == "printed"]


def test_claims_hold_in_the_printed_numbers_or_say_that_they_do_not(table: PaperTable) -> None:
    columns = {column.key: column for column in table.columns}
    for claim in table.claims:
        for data in table.printed:
            if claim.data is None or data in claim.data:
                verdicts = {key: printed_verdict(table, claim, columns[key], data) for key in claim.metrics}
                verdicts = {key: found for key, found in verdicts.items() if found[0] != "not printed"}
                assert verdicts or claim.says in UNLIKE, (claim.says, data)
                wrong = "shown" if CONTRADICTED in claim.says else "contradicted"
                for key, (verdict, because) in verdicts.items():
                    assert verdict != wrong, (claim.says, data, because)
                    # Where the noise keeps a verdict back, the means still stand in the claimed order, or they do not.
                    ordered = in_order(table, claim, columns[key], data)
                    assert ordered == (CONTRADICTED not in claim.says), (claim.says, data)


def test_what_a_paper_prints_as_information_stands_under_what_it_measures(table: PaperTable) -> None:
    under = {
        "papers/contrastive": {"self_comparison", "rate_beyond_self_comparison"},
        "papers/critic": {"mutual_information_in_batches"},
        "papers/noise_contrastive": {"mutual_information_in_batches"},
    }
    keys = {column.key for column in table.columns}
    if (
        table.folder not in under
        or "mutual_information" not in keys
        or table.name == "papers/noise_contrastive/figure2"
    ):
        return
    assert keys & under[table.folder]
    for claim in table.claims:
        assert bool(claim.printed_as) == (claim.metric == "mutual_information"), claim.says
    for column in table.columns:
        numbers = [table.number(data, row, column) for data in table.printed for row in table.rows]
        if column.key in ("mutual_information", "marginal_kl"):
            assert not any(numbers)
    # The ceiling, and the noise that theirs has above it.
    within = next((column for column in table.columns if column.key == "mutual_information_in_batches"), None)
    for data, rows in table.printed.items() if within else ():
        for number in filter(None, (table.number(data, row, within) for row in rows)):
            assert number.mean < math.log(32 if data in ("yahoo", "yelp") else 50) + 0.05


def test_the_contrastive_papers_columns_are_one_constant_and_a_difference() -> None:
    table = _load("contrastive/table3")
    columns = {column.key: column for column in table.columns}
    keys = ("rate", "rate_beyond_self_comparison", "self_comparison", "active_units")
    for data, rows in table.printed.items():
        for row in rows:
            rate, rest, compared, units = (table.number(data, row, columns[key]).mean for key in keys)
            if (data, row) != ("cifar10", "InfoVAE"):  # 14.42, where 18.45 − 3.53 is 14.92
                assert rest == pytest.approx(rate - compared, abs=0.02), (data, row)
            # Where no unit is active, scales hardly vary: d/2 · (1 − ln 2), within the noise of one draw.
            if units == 0:
                assert compared == pytest.approx(8 * (1 - math.log(2)), abs=0.09), (data, row)


def in_order(table: PaperTable, claim: Claim, column: Column, data: str) -> bool:
    """Whether the printed means stand as a claim says; equal ones do."""
    sign = -1.0 if column.better == "lower" else 1.0
    numbers = {row: table.number(data, row, column) for row in table.rows}
    means = {row: sign * number.mean for row, number in numbers.items() if number is not None}
    if claim.best is not None:
        return means[claim.best] == max(means.values())
    return all(means[a] >= means[b] for a, b in itertools.pairwise(claim.order))


def test_mentions_of_contradiction_are_all_worded_alike(table: PaperTable) -> None:
    for claim in table.claims:
        assert ("contradict" in claim.says) == (CONTRADICTED in claim.says), claim.says


def test_columns_are_metrics(table: PaperTable) -> None:
    assert len({column.key for column in table.columns}) == len(table.columns)
    for column in table.columns:
        assert named(column.metric).group == TRAINING or (named(column.metric).minus or column.metric) in METRICS
        assert column.percent == ("_accuracy" in column.metric), column.metric


def test_figures_are_those_of_plot(table: PaperTable) -> None:
    assert table.figures or "/figure" not in table.name
    for figure in table.figures:
        # Without runs: name and options are looked at before.
        with pytest.raises(ValueError, match="needs the directory of a run"):
            check(figure.plot, {}, **figure.options)
        for metric in re.split(r",\s*", figure.options.get("metric", "rate")):
            assert metric in METRICS


def test_tables_on_the_same_models_share_their_runs() -> None:
    def settings(name: str) -> dict[str, dict]:
        cells = _cells_of(name, "small")
        return {cell.row: cell.experiment.flat() for cell in cells if cell.data == "mnist" and cell.experiment}

    first, second, third, fourth = (settings(f"consistency/table{n}") for n in (1, 2, 3, 4))
    assert first == third == {row: second[row] for row in first}
    assert first["CR-VAE"] == fourth["λ = 0.1"]
    assert first["VAE"] == fourth["VAE"]


def test_rows_set_what_they_are_named_after() -> None:
    for cell in _cells_of("consistency/table1", "full"):
        assert cell.experiment is not None
        model = cell.experiment.model
        weight = 0.1 * model.beta if "CR-" in cell.row else 0.0
        assert getattr(model, "consistency_lambda", 0.0) == pytest.approx(weight)
        assert hasattr(model, "consistency_lambda") == ("CR-" in cell.row or "Aug" in cell.row)
        assert hasattr(model, "samples") == ("IWAE" in cell.row)
        assert model.beta == (float(found[1]) if (found := re.search(r"\(([\d.]+)\)", cell.row)) else 1.0)
    for name in ("auxiliary_softmax/table2", "auxiliary_softmax/table3"):
        for cell in _cells_of(name, "full"):
            assert cell.experiment is not None
            if cell.row != "VAE":
                model = cell.experiment.model
                assert cell.row == f"α = {model.alpha} β = {model.beta}"


# ── Leaderboards ──

LEADERBOARDS = [name for name in names() if name.startswith("leaderboard/")]


@pytest.mark.parametrize("name", LEADERBOARDS)
def test_every_method_of_a_leaderboard_has_the_same_recipe(name: str) -> None:
    board = _load(name)
    assert board.seeds >= 3 and not (board.printed or board.source or board.claims)
    cells = [cell for cell in board.cells("full") if cell.experiment]
    assert {one for cell in cells for one in canonical(cell.experiment.model.method)} >= {*METHODS}
    # What a row is about may differ: its objective, warm-up and clipping.
    for data in board.experiments:
        recipes = [cell.experiment for cell in cells if cell.data == data]
        for key in ("kl_warmup", "clip_norm"):
            values = [getattr(one.train, key) for one in recipes]
            assert sum(value != values[0] for value in values) <= 1, key
        alike = {"kl_warmup": 0.0, "clip_norm": None}
        assert len({one.train.model_copy(update=alike).model_dump_json() for one in recipes}) == 1
        assert len({one.data.model_dump_json() for one in recipes}) == 1
        shared = [(one.model.network, one.model.latent_dim, one.model.likelihood) for one in recipes]
        assert all(one == shared[0] for one in shared)
        assert recipes[0].train.select == "best" and recipes[0].train.stop is not None
