"""Methods, networks and likelihoods from outside the zoo, by names such as `my_package.my_module:MyVAE`."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Literal

from zoo.parameters import nearest


def is_outside(name: object) -> bool:
    """Whether a name is that of something outside the zoo."""
    return isinstance(name, str) and ":" in name


def check_name(name: str) -> None:
    """Raises ValueError for what has a colon, and is no `module:Name`."""
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d][\w.<>]*", name):
        raise ValueError(f"{name!r}: must be package.module:Name")


def find(name: str, kind: type | Literal["function", "any"], folders: Sequence[Path] = ()) -> Any:
    """The class or function that a name stands for; its module is imported.

    Args:
        name: `package.module:Name`.
        kind: what a class must be derived from, or `function`; `any` for both.
        folders: where the module is looked for first; then on Python's path and in the current folder.

    Raises:
        ValueError: no such module, one that fails, nothing of that name in it, or something of another kind.
    """
    check_name(name)
    module_name, _, inside = name.partition(":")
    module = _imported(module_name, folders)
    found: Any = module
    for part in inside.split("."):
        found = getattr(found, part, None)
    if found is None and module_name == "__main__":
        raise ValueError(f"{inside} was defined in a script or a notebook; put it into a module that can be imported")
    if found is None:
        public = [(key, value) for key, value in vars(module).items() if not key.startswith("_")]
        fitting = [key for key, value in public if _is_fitting(value, kind) and value.__module__ == module_name]
        hint = nearest(inside, fitting) if fitting else "there is none that would fit"
        raise ValueError(f"{module_name} has no {inside!r}; {hint}")
    if not _is_fitting(found, kind):
        what = f"a subclass of zoo's {kind.__name__}" if isinstance(kind, type) else "a function"
        raise ValueError(f"{name} is not {what}")
    return found


def _is_fitting(value: Any, kind: type | str) -> bool:
    if isinstance(kind, type):
        return isinstance(value, type) and issubclass(value, kind)
    return inspect.isroutine(value) or (kind == "any" and isinstance(value, type))


def is_installed(module: str) -> bool:
    """Whether a module, which has been imported, is one of Python's or of an installed package."""
    file = getattr(sys.modules[module], "__file__", None)
    installed = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    return file is None or any(Path(file).is_relative_to(folder) for folder in installed)


def folder_of(name: str) -> Path:
    """The folder in which the module of a name, which has been found, is looked for.

    A package's is the one that holds the package.
    """
    top = sys.modules[re.split(r"[.:]", name)[0]]
    if getattr(top, "__path__", None):
        return Path(next(iter(top.__path__))).resolve().parent
    return Path(str(top.__file__)).resolve().parent


def folders_for(file: Path) -> list[Path]:
    """Where to look first for the modules that a file needs: in a run where it found them, else beside the file."""
    try:
        recorded = json.loads((file.parent / "environment.json").read_text(encoding="utf-8"))["modules"]
        return [*(Path(folder) for folder in recorded.values()), file.parent]
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return [file.parent]


def _imported(name: str, folders: Sequence[Path]) -> Any:
    top = name.partition(".")[0]
    here = [*(str(folder.absolute()) for folder in folders), *sys.path, str(Path.cwd())]
    importlib.invalidate_caches()
    if (spec := PathFinder.find_spec(top, here)) is not None and top in sys.modules and folders:
        _forget_another(top, spec.origin)
    before = list(sys.path)
    # Names beside a configuration go before others while they are looked for, and stay for later imports.
    sys.path[:] = here
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ValueError(f"no module {name!r}; {_where(name, here)}") from None
        raise ValueError(_failure(name, error)) from None
    except (Exception, SystemExit) as error:
        raise ValueError(_failure(name, error)) from None
    finally:
        sys.path[:] = [*before, *(entry for entry in dict.fromkeys(here) if entry not in before)]


def _forget_another(top: str, origin: str | None) -> None:
    """Lets go of a module of the same name from another file, so that each configuration gets its own."""
    loaded = getattr(sys.modules[top], "__file__", None)
    if origin is None or loaded is None or Path(loaded).resolve() == Path(origin).resolve():
        return
    for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
        del sys.modules[name]


def _where(name: str, entries: Iterable[str]) -> str:
    folders = [Path(entry) for entry in dict.fromkeys(entries) if Path(entry).is_dir()]
    own = [folder for folder in folders if not {"site-packages", "dist-packages", "lib-dynload"} & {*folder.parts}]
    own = [folder for folder in own if not (folder / "os.py").is_file()]
    known = {path.stem for folder in own for path in folder.glob("*.py")}
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}looked in {', '.join(map(str, own))} and among the installed packages"


def _failure(name: str, error: BaseException) -> str:
    """Why a module's import failed, with the line of the file that the user can mend."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    if isinstance(error, SyntaxError):
        return f"{name} cannot be imported: {error.filename}, line {error.lineno}: SyntaxError: {error.msg}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    frames = [frame for frame in own if frame.filename != __file__ and "importlib" not in frame.filename]
    beside = [frame for frame in frames if "site-packages" not in frame.filename]
    place = f"{beside[-1].filename}, line {beside[-1].lineno}: " if beside else ""
    return f"{name} cannot be imported: {place}{said}"
