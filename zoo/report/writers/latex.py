"""A report as LaTeX tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from zoo.report.columns import Column, groups, heading, shown
from zoo.report.content import Report, Row
from zoo.report.legend import legend

_PLAIN = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    # After the end of a line these two would be read as its arguments.
    "[": "{[}",
    "*": "{*}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "‖": r"$\|$",
    "→": r"$\to$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "…": r"\dots{}",
}
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρςστυφχψωΓΔΘΛΞΠΣΥΦΨΩ",
        re.findall(
            r"\w+",
            "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho varsigma sigma tau "
            "upsilon varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega",
        ),
        strict=True,
    )
)
_ACCENTS = {"\u0303": "tilde", "\u0302": "hat", "\u0304": "bar"}


def latex(c: Report) -> str:
    """Writes the tables as `tabular`s for a paper: the figures, and the claims where there are any.

    A row's second line is the paper's. There is no preamble and no float; a comment names the packages. All text is
    escaped, so that it compiles as it is.
    """
    lines = ["% Needs \\usepackage{booktabs}.", f"% {_comment(c.title)}", f"% {_comment(c.command)}", "", *_figures(c)]
    if c.judgements:
        lines += ["", *_claims(c)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands, Greek letters and a letter's tilde, hat or bar in mathematics."""
    text = unicodedata.normalize("NFD", " ".join(text.split()))
    found = []
    for part in re.split(f"(\\w[{''.join(_ACCENTS)}])", text):
        if len(part) == 2 and part[1] in _ACCENTS:
            found.append(f"$\\{_ACCENTS[part[1]]}{{{_letter(part[0]).strip('$')}}}$")
        else:
            found += map(_letter, unicodedata.normalize("NFC", part))
    # Two hyphens would become a dash.
    return "".join(found).replace("--", "-{}-")


def _letter(letter: str) -> str:
    return f"$\\{_GREEK[letter]}$" if letter in _GREEK else _PLAIN.get(letter, letter)


def _comment(text: str) -> str:
    return " ".join(text.split())


def _figures(c: Report) -> list[str]:
    lines = []
    for name, columns in groups(c.columns) or [("", [])]:
        lines += [f"% {_comment(name)}"] if name else []
        lines += [*_tabular(c, columns), r"\par\smallskip"]
    notes = list(dict.fromkeys(f"{row.name}: {_remark(c, row)}" for row in c.rows if _remark(c, row)))
    return [*lines, *(f"{{\\footnotesize {escape(note)}\\par}}" for note in [*legend(c), *notes])]


def _tabular(c: Report, columns: list[Column]) -> list[str]:
    width = len(columns) + 2
    heads = ["", *(escape(heading(column)) for column in columns), "seeds"]
    lines = [f"\\begin{{tabular}}{{l{'r' * len(columns)}l}}", r"\toprule", _line(heads)]
    for data in c.data_sets():
        lines += [r"\midrule", f"\\multicolumn{{{width}}}{{l}}{{\\emph{{{escape(data)}}}}} \\\\"]
        for row in (row for row in c.rows if row.data == data):
            lines += _row(c, row, columns)
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _remark(c: Report, row: Row) -> str:
    recipe = "the zoo's recipe" if c.source and row.recipe == "zoo" else ""
    return "; ".join(filter(None, [recipe, row.health(), row.note]))


def _row(c: Report, row: Row, columns: list[Column]) -> list[str]:
    if row.status:
        cells = [f"\\multicolumn{{{len(columns) + 1}}}{{l}}{{\\emph{{{escape(row.status)}}}}}"]
    else:
        cells = [*(_ours(c, row, column) for column in columns), row.seeds()]
    lines = [_line([escape(row.name), *cells])]
    if row.printed:
        numbers = [row.printed.get(column.key) for column in columns]
        printed = ["" if n is None else shown(column, *n) for column, n in zip(columns, numbers, strict=True)]
        lines.append(_line([r"\quad paper", *(number.replace("-", "$-$") for number in printed), ""]))
    return lines


def _ours(c: Report, row: Row, column: Column) -> str:
    found = row.estimate(column.key)
    if found is None:
        return "--"
    mean, *deviation = shown(column, found.mean, found.deviation).replace("-", "$-$").split(" ")
    fewer = [escape(f"[{row.of_fewer(found)}]")] if row.of_fewer(found) else []
    return " ".join([f"\\textbf{{{mean}}}" if c.is_best(row, column) else mean, *deviation, *fewer])


def _claims(c: Report) -> list[str]:
    lines = [r"\begin{tabular}{@{}p{0.45\linewidth}lll@{}}", r"\toprule"]
    lines += [_line(["claim", "data", "here", "printed numbers"]), r"\midrule"]
    lines += [_line(map(escape, [one.says, one.data, one.verdict, one.printed])) for one in c.judgements]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
