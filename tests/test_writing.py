"""Reports as Markdown, CSV and LaTeX, and the folder that they are written into."""

import csv
import io
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest

from zoo.doctor.diagnosis import Diagnosis
from zoo.report.columns import Column, Printed, heading
from zoo.report.content import Illustration, Judgement, Report, Row, RunSummary
from zoo.report.legend import legend
from zoo.report.writers.csv import csv as as_csv
from zoo.report.writers.folder import write
from zoo.report.writers.latex import escape, latex
from zoo.report.writers.markdown import markdown

RATE = Column(metric="rate", header="KL(q(z|x) ‖ p(z))")
SQUARES = Column(metric="sum_of_squares", header="SSE", better="lower", digits=1)
KNN = Column(metric="knn_accuracy", header="KNN", split="validation", better="higher", percent=True)
EVALUATION = {
    "test": {
        "rate": {"value": 4.5, "unit": "nats", "examples": 12000, "note": "a|b", "error": 0.0123},
        "sum_of_squares": {"value": 9.0, "unit": "squared pixels", "examples": 12000, "note": ""},
    }
}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" id="a" width="40" height="30"><rect id="b" width="9" height="9"/></svg>'
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


HEALTHY = Diagnosis("healthy", "", False, False, False, False, None, [], [])
COLLAPSED = HEALTHY._replace(verdict="collapsed", posterior=True)


def a_report() -> Report:
    """Two data sets; two rows with two seeds, one that cannot run, one with one seed that the paper does not have."""
    run = RunSummary(0, "runs/one", "model:\n  method: vae  # a & b\n", EVALUATION, HEALTHY)
    rows = [
        Row(
            "VAE <script>alert(1)</script>",
            "my_digits",
            {"rate": [1.0, 2.0], "sum_of_squares": [10.0, 10.5], "knn_accuracy@validation": [40.0, 50.0]},
            {"rate": Printed(1.25, 0.5), "sum_of_squares": Printed(-10.0)},
            [run, replace(run, seed=1)],
        ),
        Row(
            "γ = 0.1 & x|y",
            "my_digits",
            {"rate": [4.5], "sum_of_squares": [9.0, 9.02], "knn_accuracy@validation": [44.996, 44.996]},
            runs=[run, replace(run, seed=1)],
            recipe="zoo",
            note="clipped, 5 %",
        ),
        Row("Info*VAE", "my_digits", printed={"rate": Printed(100.0)}, status="not in the zoo yet: method info"),
        Row("VAE", "mnist", {"rate": [-3.0]}, runs=[run]),
    ]
    return Report(
        title="A & B, x_1 < x_2",
        source="Someone 2020, Table 1",
        command="zoo reproduce papers/paper/table1",
        columns=[RATE, SQUARES, KNN],
        rows=rows,
        judgements=[
            Judgement("VAE has the best KNN", "my_digits", "not shown", "45 against 44", "not measured"),
            Judgement("VAE <b>wins</b>", "mnist", "contradicted", "a|b", "shown", "1 against 2"),
        ],
        differs=["train.epochs: 1 instead of 200.", "<i>No</i> views."],
        illustrations=[Illustration("map", "A map & more", PNG, SVG), Illustration("second map", "Two", PNG, SVG)],
        created="2024-05-06",
        versions={"zoo": "0.1", "cores": 2},
    )


def rows_of(table: str) -> list[list[str]]:
    """The cells of Markdown's table lines, with escapes undone."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in line] for line in cells]


def test_csv_has_a_line_for_each_figure_at_full_precision() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(a_report()))))
    assert len(lines) == 4 * 3
    first, second, third = lines[:3]
    assert first == {
        "data": "my_digits",
        "row": "VAE <script>alert(1)</script>",
        "column": "rate",
        "header": "KL(q(z|x) ‖ p(z))",
        "mean": "1.5",
        "deviation": repr(0.5**0.5),
        "seeds": "2",
        "values": "1.0 2.0",
        "best": "",
        "collapsed": "no",
        "status": "",
        "recipe": "printed",
        "printed_mean": "1.25",
        "printed_deviation": "0.5",
        "unit": "nats",
    }
    assert (second["printed_mean"], second["printed_deviation"], second["unit"]) == ("-10.0", "", "squared pixels")
    assert (third["column"], third["mean"], third["unit"]) == ("knn_accuracy@validation", "45.0", "%")
    assert (third["printed_mean"], third["printed_deviation"]) == ("", "")
    one_seed = lines[3]
    assert (one_seed["row"], one_seed["mean"], one_seed["deviation"]) == ("γ = 0.1 & x|y", "4.5", "")
    assert (one_seed["seeds"], one_seed["recipe"]) == ("1", "zoo")
    assert [line["best"] for line in lines[:6]] == ["", "", "noise", "", "yes", ""]
    absent = lines[6]
    assert (absent["mean"], absent["seeds"], absent["printed_mean"]) == ("", "0", "100.0")
    assert absent["status"] == "not in the zoo yet: method info"


def test_markdown_sets_ours_above_the_papers() -> None:
    text = markdown(a_report())
    block = text[text.index("## my_digits") : text.index("## mnist")]
    assert rows_of(block) == [
        ["", "KL(q(z|x) ‖ p(z))", "SSE", "KNN (%)", "seeds", "recipe", "note"],
        ["---", "---:", "---:", "---:", "---", "---", "---"],
        # 45.00 and 44.996 print the same: neither is best.
        ["VAE <script>alert(1)</script>", "1.50 (0.71)", "10.2 (0.4)", "45.00 (7.07)", "2 seeds", "printed", ""],
        ["↳ paper", "1.25 (0.50)", "-10.0", "", "", "", ""],
        [
            *("γ = 0.1 & x|y", "4.50 [1 of 2 seeds]", "**9.0** (0.0)", "45.00 (0.00)", "2 seeds", "the zoo's"),
            "clipped, 5 %",
        ],
        ["Info*VAE", "–", "–", "–", "–", "printed", "not in the zoo yet: method info"],
        ["↳ paper", "100.00", "", "", "", "", ""],
    ]


def test_a_report_on_ones_own_runs_has_no_recipes() -> None:
    c = replace(a_report(), source="", rows=[Row("a", "d", {"rate": [1.0]})], columns=[RATE])
    assert rows_of(markdown(c))[:3] == [
        ["", "KL(q(z|x) ‖ p(z))", "seeds", "note"],
        ["---", "---:", "---", "---"],
        ["a", "1.00", "one seed", ""],
    ]


def test_markdown_has_claims_differences_figures_and_runs() -> None:
    text = markdown(a_report())
    claims = text[text.index("## Claims") : text.index("## What differed from the paper")]
    assert rows_of(claims)[2:] == [
        ["VAE has the best KNN", "my_digits", "≈ not shown", "45 against 44", "– not measured"],
        ["VAE <b>wins</b>", "mnist", "✗ contradicted", "a|b", "✓ shown: 1 against 2"],
    ]
    assert "- train.epochs: 1 instead of 200.\n- \\<i\\>No\\</i\\> views.\n" in text
    assert "![Two](figures/second%20map.png)" in text
    runs = text[text.index("## Runs") :]
    assert "<summary>VAE &lt;script>alert(1)&lt;/script> on my_digits, seed 1 (runs/one)</summary>" in runs
    assert "```yaml\nmodel:\n  method: vae  # a & b\n```" in runs
    assert rows_of(runs)[2] == ["test", "rate", "4.5 ± 0.012", "nats", "12,000", "a|b"]
    assert "zoo 0.1, cores 2" in text
    assert not re.search(r"(?<!\\)<(script|b|i)\b", text)
    assert "| Info\\*VAE |" in text
    assert "x\\|y" in text
    assert "my_digits" in text


def test_legend_names_units_and_seeds() -> None:
    c = a_report()
    assert legend(c) == [
        "Mean (standard deviation over seeds), one seed or 2 seeds. In nats; SSE: squared pixels. "
        "Measured on 12,000 test examples.",
        "Bold: the best of our own figures on a data set, ahead of every other row by at least two standard errors of "
        "the difference over seeds.",
    ]
    assert "Bold" not in " ".join(legend(replace(c, rows=c.rows[2:])))
    assert "In nats" not in legend(replace(c, columns=[SQUARES]))[0]
    assert legend(replace(c, unsaid="β = 1."))[1] == "β = 1."


def test_headings_have_one_percent_sign() -> None:
    assert [heading(column) for column in (SQUARES, KNN)] == ["SSE", "KNN (%)"]
    assert heading(KNN.model_copy(update={"header": "KNN %"})) == "KNN %"


def test_seeds_in_words() -> None:
    run = RunSummary(0, "runs/one", "", {})
    assert Row("a", "d").seeds() == ""
    assert Row("a", "d", runs=[run]).seeds() == "one seed"
    assert Row("a", "d", {"rate": [1.0]}, runs=[run, run]).seeds() == "2 seeds"
    assert Row("a", "d", {"rate": [1.0, 2.0, 3.0]}).seeds() == "3 seeds"


def test_best_is_among_the_measured_by_the_columns_sense() -> None:
    c = a_report()

    def best(column: Column, data: str = "my_digits", rows: Sequence[Row] = c.rows) -> str:
        return replace(c, columns=[column], rows=list(rows)).standings[column.key, data].best

    assert best(SQUARES) == "γ = 0.1 & x|y"
    assert best(SQUARES.model_copy(update={"better": "higher"})) == "VAE <script>alert(1)</script>"
    assert best(RATE) == ""
    assert best(RATE.model_copy(update={"better": "lower"}), "mnist") == "", "nothing to be better than"
    broken = Row("broken", "my_digits", {"sum_of_squares": [float("nan")]})
    assert best(SQUARES, rows=[broken, *c.rows]) == "γ = 0.1 & x|y"


def test_latex_has_rows_of_equal_width() -> None:
    text = latex(a_report())
    figures, claims = re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL)
    lines = [line for line in figures.splitlines() if line.endswith(r"\\")]
    assert lines == [
        r" & KL(q(z\textbar{}x) $\|$ p(z)) & SSE & KNN (\%) & seeds \\",
        r"\multicolumn{5}{l}{\emph{my\_digits}} \\",
        r"VAE \textless{}script\textgreater{}alert(1)\textless{}/script\textgreater{}"
        r" & 1.50 (0.71) & 10.2 (0.4) & 45.00 (7.07) & 2 seeds \\",
        r"\quad paper & 1.25 (0.50) & $-$10.0 &  &  \\",
        r"$\gamma$ = 0.1 \& x\textbar{}y & 4.50 {[}1 of 2 seeds] & \textbf{9.0} (0.0) & 45.00 (0.00) & 2 seeds \\",
        r"Info{*}VAE & \multicolumn{4}{l}{\emph{not in the zoo yet: method info}} \\",
        r"\quad paper & 100.00 &  &  &  \\",
        r"\multicolumn{5}{l}{\emph{mnist}} \\",
        r"VAE & $-$3.00 & -- & -- & one seed \\",
    ]
    assert r"VAE has the best KNN & my\_digits & not shown & not measured \\" in claims
    assert r"$\gamma$ = 0.1 \& x\textbar{}y: the zoo's recipe; clipped, 5 \%" in text
    assert "% Needs \\usepackage{booktabs}." in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a\b_c^d~e", r"a\textbackslash{}b\_c\textasciicircum{}d\textasciitilde{}e"),
        ("50% & #1 $2 {x}", r"50\% \& \#1 \$2 \{x\}"),
        ("89.3 ± 0.1 ‖ βλΩς", r"89.3 $\pm$ 0.1 $\|$ $\beta$$\lambda$$\Omega$$\varsigma$"),
        ("x̃ and x̂, é", r"$\tilde{x}$ and $\hat{x}$, é"),
        ("σ̂²", r"$\hat{\sigma}$²"),
        ("--only\n [a]", r"-{}-only {[}a]"),
    ],
)
def test_latex_escapes(text: str, expected: str) -> None:
    assert escape(text) == expected


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_compiles(tmp_path) -> None:
    odd = r"a\b_c^d~e % & # $ {x} ± ‖ λ x̃ → ≤ × − … é ² “q” –"
    c = a_report()
    body = latex(replace(c, rows=[*c.rows, Row(odd, "[mnist", note=odd, status=odd, runs=[])]))
    document = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def test_write_makes_the_folder_and_replaces_the_whole(tmp_path) -> None:
    c = a_report()
    folder = tmp_path / "deep" / "report"
    assert write(c, folder) == folder
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    pictures = [f"figures/{name}.{kind}" for name in ("map", "second map") for kind in ("png", "svg")]
    assert files == [*pictures, "report.csv", "report.html", "report.md", "report.tex"]
    assert (folder / "report.csv").read_text(encoding="utf-8") == as_csv(c)
    assert (folder / "report.tex").read_text(encoding="utf-8") == latex(c)
    assert (folder / "report.md").read_text(encoding="utf-8") == markdown(c)
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (folder / "figures/map.png").read_bytes() == PNG
    assert (folder / "figures/map.svg").read_text(encoding="utf-8") == SVG
    write(replace(c, illustrations=c.illustrations[1:]), folder)
    assert not (folder / "figures/map.png").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def test_what_fails_half_way_leaves_the_old_report(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "report"
    write(a_report(), folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def fails(c: Report) -> str:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("zoo.report.writers.folder.latex", fails)
    with pytest.raises(RuntimeError, match="in the middle"):
        write(replace(a_report(), title="new"), folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_thesis_of_the_same_file_names_is_no_report(tmp_path) -> None:
    for name in ("report.tex", "report.html", "figures/photo.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=r"is no part of a report"):
        write(a_report(), tmp_path)
    assert (tmp_path / "figures" / "photo.png").read_text() == "mine"


@pytest.mark.parametrize("foreign", ["thesis.md", "mine.png", "figures/mine.pdf", "figures/report.md", "runs/a.png"])
def test_a_folder_with_other_files_is_not_replaced(tmp_path, foreign: str) -> None:
    path = tmp_path / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"holds .*, which is no part of a report") as caught:
        write(a_report(), tmp_path)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "mine"


def test_a_file_in_the_folders_place_and_clashing_figures_are_refused(tmp_path) -> None:
    file = tmp_path / "report"
    file.write_text("mine")
    with pytest.raises(ValueError, match="is a file"):
        write(a_report(), file)
    assert file.read_text() == "mine"
    picture = Illustration("a", "", PNG, SVG)
    for pictures in ([picture, picture], [replace(picture, name="../a")]):
        with pytest.raises(ValueError, match="a name of its own"):
            write(replace(a_report(), illustrations=pictures), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
