"""What the documentation site has beside docs/: README.md as its start page, and a page of the reference for each room.

The pages lie where GitHub shows them best, so their links are relative to the repository. Here those that lead
out of docs/ are turned towards the site's copies.
"""

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# Pages by their place in the site, and what the pages link to.
PAGES = {"index.md": "README.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
LINKED = ("examples/*.py", "examples/*.yaml", "examples/*.ipynb")
# The command line says itself what it takes (`zoo --help`).
UNDOCUMENTED = {"cli", "configs"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds start page, linked files and reference to the files of docs/."""
    for place, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, place, content=text))
    for path in sorted(path for pattern in LINKED for path in ROOT.glob(pattern)):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    rooms = [path.parent for path in sorted(ROOT.glob("zoo/*/__init__.py")) if path.parent.name not in UNDOCUMENTED]
    for room in rooms:
        files.append(File.generated(config, f"reference/{room.name}.md", content=_page(room)))
    files.append(File.generated(config, "reference/zoo.md", content=_page(ROOT / "zoo", _names())))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Turns links out of docs/ towards the site's own copies."""
    return markdown.replace("](../examples/", "](examples/").replace("](../CONTRIBUTING.md", "](CONTRIBUTING.md")


def _page(package: Path, names: str = "") -> str:
    """What a package says of itself and defines itself, then its public modules: nothing twice that it passes on."""
    dotted = ".".join(package.relative_to(ROOT).parts)
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    own = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"]
    modules = [path.stem for path in sorted(package.glob("*.py")) if not path.stem.startswith("_")]
    if package.name != "zoo":
        modules += [path.parent.name for path in sorted(package.glob("*/__init__.py"))]
    options = f"\n    options: {{show_root_heading: false, show_submodules: false, members: {own or 'false'}}}"
    return "\n\n".join([f"# {dotted}", f"::: {dotted}{options}", names, *(f"::: {dotted}.{name}" for name in modules)])


def _names() -> str:
    """Where the names are described that scripts take from `zoo` itself."""
    tree = ast.parse((ROOT / "zoo/__init__.py").read_text(encoding="utf-8"))
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_NAMES"
    )
    # The reference has no entry for an alias of a type.
    described = {name: module for name, module in names.items() if name != "Strength"}
    return "\n".join(f"- [`zoo.{name}`][{module}.{name}]" for name, module in sorted(described.items()))
