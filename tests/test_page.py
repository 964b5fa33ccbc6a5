"""The report's page: its content, and how it behaves in a browser."""

import base64
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_writing import PNG, SVG, a_report

from zoo.report.columns import Printed
from zoo.report.content import Illustration, Report, Row
from zoo.report.side_by_side import COLUMNS
from zoo.report.writers.page import LARGEST_SVG, page

pytestmark = pytest.mark.slow


CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# What a test's script says, at the end of the page.
REPORT = """
<script>
{
const result = document.createElement("output");
const table = document.querySelector("table.figures");
const names = () => [...table.tBodies].map((body) => [...body.rows].map((row) => row.cells[0].dataset.value ?? "-"));
const button = (name) => document.querySelector(`button[aria-label="${name}"]`);
const say = (...what) => result.append(JSON.stringify(what) + "\\n");
result.id = "result";
document.body.append(result);
%s
say("fetched", performance.getEntriesByType("resource").map((one) => one.name));
}
</script>
"""


class Reader(HTMLParser):
    """Collects the tags with their attributes, and the text of the cells of tables by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())


def in_chromium(html: str, script: str, tmp_path: Path, *more: str) -> list[str]:
    """Opens the page with a script at its end, and returns the lines that the script said."""
    assert CHROMIUM
    file = tmp_path / "page.html"
    file.write_text(html.replace("</body>", REPORT % script + "</body>"), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, *more, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<output id="result">(.*?)</output>', dom, re.DOTALL)
    assert found, "the script did not run"
    return found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").splitlines()


def small(values: dict[str, float | None]) -> Report:
    """Rows on two data sets, in the same order and with the same figures."""
    c = a_report()
    rows = [
        Row(name, data, {} if value is None else {"rate": [value]}, {"rate": (2.0 if name == "b" else 1.0, None)})
        for data in ("one", "two")
        for name, value in values.items()
    ]
    return replace(c, rows=rows)


def test_rows_ours_and_the_papers() -> None:
    rows = Reader(page(a_report())).rows
    assert rows[0] == ["row", "KL(q(z|x) ‖ p(z))", "SSE", "KNN (%)"]
    assert rows[1] == ["ours", "paper", "ours", "paper", "ours"]
    assert rows[2] == ["my_digits", ""]
    named = "VAE <script>alert(1)</script> 2 seeds; printed recipe"
    assert rows[3] == [named, "1.50 (0.71)", "1.25 (0.50)", "10.2 (0.4)", "-10.0", "45.00 (7.07)"]
    gamma = ["γ = 0.1 & x|y 2 seeds; the zoo's recipe", "4.50 1 of 2 seeds", "", "9.0 (0.0)", "", "45.00 (0.00)"]
    assert rows[4] == gamma
    assert rows[5] == ["Info*VAE not in the zoo yet: method info", "–", "100.00", "–", "", "–"]
    assert rows[6] == ["mnist", ""]
    assert rows[7] == ["VAE one seed; printed recipe", "-3.00", "", "–", "", "–"]
    assert rows[9][:3] == ["VAE has the best KNN", "my_digits", "not shown"]
    assert ["test", "rate", "4.5 ± 0.012", "nats", "12,000", "a|b"] in rows


def test_best_is_bold_and_verdicts_have_a_sign() -> None:
    html = page(a_report())
    assert re.findall(r"<strong>(.*?)</strong>", html) == ["9.0"]
    signs = [attributes["data-sign"] for _, attributes in Reader(html).tags if "data-sign" in attributes]
    assert signs == ["≈", "✗", "≈", "–", "✗", "✓"], "those of the tally, then ours and the printed ones"


def test_only_ours_is_bold_and_sorting_is_by_the_full_figure() -> None:
    c = a_report()
    runs = c.rows[0].runs
    both = [
        Row(name, "d", {"sum_of_squares": [x, x]}, {"sum_of_squares": Printed(7.0)}, runs)
        for name, x in (("a", 9.04), ("b", 8))
    ]
    html = page(replace(c, columns=c.columns[1:2], rows=both))
    assert re.findall(r"<strong>(.*?)</strong>", html) == ["8.0"]
    values = [
        attributes["data-value"] for tag, attributes in Reader(html).tags if tag == "td" and "data-value" in attributes
    ]
    assert values[:4] == ["9.04", "7.0", "8.0", "7.0"]


def test_text_is_escaped() -> None:
    tags = [tag for tag, _ in Reader(page(a_report())).tags]
    assert tags.count("script") == 1
    assert not {"b", "i"}.intersection(tags)
    html = page(a_report())
    assert "VAE &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "γ = 0.1 &amp; x|y" in html
    assert "method: vae  # a &amp; b" in html


def test_nothing_refers_to_the_network() -> None:
    html = page(a_report())
    tags = Reader(html).tags
    addresses = [a[name] for _, a in tags for name in ("src", "href", "srcset", "action", "data") if a.get(name)]
    assert len(addresses) == 2
    assert all(address.startswith("data:image/") for address in addresses)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", html)
    policies = [a["content"] for tag, a in tags if tag == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"]


def test_large_figures_are_pixels() -> None:
    large = SVG.replace("</svg>", " " * LARGEST_SVG + "</svg>")
    pictures = [Illustration("small", "", PNG, SVG), Illustration("large", "", PNG, large)]
    tags = Reader(page(replace(a_report(), illustrations=pictures))).tags
    images = [attributes["src"].partition(",") for tag, attributes in tags if tag == "img"]
    assert [start for start, _, _ in images] == ["data:image/svg+xml;base64", "data:image/png;base64"]
    assert [base64.b64decode(content) for _, _, content in images] == [SVG.encode(), PNG]


def test_configurations_are_closed_until_asked_for() -> None:
    tags = Reader(page(a_report())).tags
    runs = [attributes for tag, attributes in tags if tag == "details"]
    assert len(runs) == 5
    assert all("open" not in attributes for attributes in runs)


def test_a_report_with_nothing_but_rows() -> None:
    c = Report("Title", "", "zoo report runs/x", [], [Row("a", "digits")])
    html = page(c)
    assert Reader(html).rows == [["row"], ["digits", ""], ["a"]]
    assert "<h2>Claims" not in html
    assert "<h2>Figures" not in html


@in_browser
def test_opens_in_a_browser_and_fetches_nothing(tmp_path) -> None:
    script = """
    say("rows", table.querySelectorAll("tbody tr:not(.data)").length);
    Promise.all([...document.images].map((image) => image.decode())).then(
      () => say("widths", [...document.images].map((image) => image.naturalWidth)), () => say("broken image"));
    """
    said = in_chromium(page(a_report()), script, tmp_path)
    assert said[:2] == ['["rows",4]', '["fetched",[]]']
    assert said[2:] == ['["widths",[40,40]]'], "the figures are drawn"


@in_browser
@pytest.mark.parametrize("of_a_paper", [False, True])
def test_a_full_table_fits_1300_pixels(tmp_path, of_a_paper: bool) -> None:
    # As many columns as a report on one's own runs can have, and as the longest of the papers' tables has.
    columns = [column.model_copy(update={"group": ""}) for column in COLUMNS[:8]] if of_a_paper else COLUMNS
    # ELBOs of colour images, and as many digits as the others ever have.
    largest = {"fit": 12345.67, "information": 123.45, "codes": 100.0, "": 123.45}
    values = {column.key: [-largest[column.group], -0.9 * largest[column.group]] for column in columns}
    printed = {key: Printed(-123.45, 10.25) for key in values} if of_a_paper else {}
    rows = [
        Row(f"contrastive VAE, β = {n}, no clipping", "d", values, printed, a_report().rows[0].runs) for n in (1, 2)
    ]
    source = "Someone 2020" if of_a_paper else ""
    c = replace(a_report(), source=source, columns=columns, rows=rows, illustrations=[], judgements=[], differs=[])
    script = """
    const scroll = document.querySelector(".scroll");
    say(innerWidth, table.rows[0].cells.length, scroll.scrollWidth <= scroll.clientWidth);
    """
    said = in_chromium(page(c), script, tmp_path, "--window-size=1300,900")
    assert said[0] == f"[1300,{9 if of_a_paper else 4},true]", "a row's name, and columns or their groups"


@in_browser
def test_tables_sort_within_their_data_sets(tmp_path) -> None:
    # As text, 10 would come before 9; b is the only row of which the paper prints 2; d has no figure.
    c = small({"a": 9.0, "d": None, "b": 10.0, "c": -1.5})
    head = "KL(q(z|x) ‖ p(z))"
    script = f"""
    const click = (name) => {{
      button(name).click();
      say(names()[0].join(""), names()[1].join(""), button(name).parentElement.getAttribute("aria-sort"));
    }};
    for (let i = 0; i < 3; i++) click("{head}, ours");
    click("{head}, paper");
    click("{head}, ours");
    table.querySelector("th button").click();
    say(names()[0].join(""), table.querySelectorAll("th[aria-sort]").length);
    """
    said = in_chromium(page(c), script, tmp_path)
    assert said == [
        '["-cabd","-cabd","ascending"]',
        '["-bacd","-bacd","descending"]',
        '["-adbc","-adbc",null]',
        '["-adcb","-adcb","ascending"]',
        '["-cabd","-cabd","ascending"]',
        '["-abcd",1]',
        '["fetched",[]]',
    ]


@in_browser
def test_headers_are_reached_by_keyboard_and_dark_is_a_button(tmp_path) -> None:
    script = """
    const first = table.querySelector("th button");
    first.focus();
    say(document.activeElement === first, first.tabIndex, first.type);
    const look = () => getComputedStyle(document.body).backgroundColor;
    const theme = document.getElementById("theme");
    const before = [theme.textContent, look()];
    theme.click();
    say([before[0], theme.textContent].sort(), before[1] !== look());
    theme.click();
    say(before[1] === look());
    """
    said = in_chromium(page(a_report()), script, tmp_path)
    assert said[:3] == ['[true,0,"button"]', '[["Dark","Light"],true]', "[true]"]
