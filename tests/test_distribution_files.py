"""Wheel and source distribution hold what they should, and PyPI would take them."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "site", "runs", "exports")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    # A copy, as setuptools writes beside the sources.
    source, to = tmp_path_factory.mktemp("source") / "zoo", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(to), str(source)], check=True, capture_output=True)
    return to


def test_the_wheel_has_every_module_configuration_and_template(distributions):
    (wheel,) = distributions.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {f"zoo/{path.relative_to(ROOT / 'zoo').as_posix()}" for path in ROOT.glob("zoo/**/*.py")}
    templates = {f"zoo/report/writers/page.{ending}" for ending in ("css", "html", "js")}
    configs = {f"zoo/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("configs/**/*.yaml")}
    assert configs
    assert modules | templates | configs <= names
    assert not {name for name in names if name.startswith(("tests/", "docs/"))}


def test_the_source_distribution_has_tests_and_documentation(distributions):
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    wanted = [*ROOT.glob("tests/*.*"), *ROOT.glob("docs/*.*"), ROOT / "mkdocs.yml", ROOT / "CHANGELOG.md"]
    assert {path.relative_to(ROOT).as_posix() for path in wanted} <= names


def test_twine_finds_nothing_wrong(distributions):
    files = [str(path) for path in distributions.iterdir()]
    assert len(files) == 2
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True, capture_output=True)
