"""The forms that an export has elsewhere: for TensorFlow Serving, LiteRT and ONNX. Nothing here imports TensorFlow."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

from zoo.export.card import CARD, README
from zoo.parameters import nearest


class Form(NamedTuple):
    """What is written, and what it takes.

    Attributes:
        files: that a folder of this form holds beside a README; one with nothing else may be replaced.
        modules: that must be there, beside TensorFlow.
        extra: of the package vae-zoo, which brings them.
    """

    files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    extra: str = ""


FORMS = {
    "saved_model": Form(),
    "serving": Form(),
    "litert": Form(("model.tflite",), ("ai_edge_litert",), "litert"),
    "onnx": Form(("encode.onnx", "decode.onnx"), ("onnx", "onnxruntime", "tf2onnx"), "onnx"),
}


def require(name: str) -> Form:
    """The form of a name, with all that it takes installed.

    Raises:
        ValueError: there is no such form, or a package is missing; in one line that says what to install.
    """
    if name not in FORMS:
        raise ValueError(f"--format: no {name!r}; {nearest(name, FORMS)}")
    form = FORMS[name]
    missing = [module for module in form.modules if importlib.util.find_spec(module) is None]
    if missing:
        needs = "the packages" if len(missing) > 1 else "the package"
        raise ValueError(f"--format {name}: needs {needs} {', '.join(missing)}; pip install 'vae-zoo[{form.extra}]'")
    return form


def check_target(name: str, to: Path) -> None:
    """Refuses a place where a form cannot be put.

    Args:
        name: of the form.
        to: the folder; for `serving` the model's, which gets a folder for each version.

    Raises:
        ValueError: a file, or a folder that holds something else.
    """
    files = FORMS[name].files
    if to.is_file() or to.suffix in (".tflite", ".onnx"):
        raise ValueError(f"--to {to}: must be a folder, which gets {', '.join(files) or 'the export'}")
    if name == "serving":
        # Within itself an export would be copied without end.
        if any((folder / CARD).is_file() for folder in (to, *to.resolve().parents)):
            where = "is an export itself" if (to / CARD).is_file() else "lies in an export"
            raise ValueError(f"--to {to}: {where}; name the folder of a model, which gets one for each version")
        return
    held = {path.name for path in to.iterdir()} if to.is_dir() else set()
    # What stands there is replaced as a whole: a file of this form does not make the others ours.
    if held and not ({*files} & held and held <= {*files, README}):
        raise ValueError(f"--to {to}: holds something else; name another folder")
