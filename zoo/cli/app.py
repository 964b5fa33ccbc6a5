"""What all commands share: the Typer application, one-line errors, and TensorFlow without its start-up notes."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from zoo.export.quiet import quiet

app = typer.Typer(
    name="zoo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# The modules whose import adds commands to `app`, in the order in which `zoo --help` lists them.
COMMANDS = (
    "zoo.cli.training",
    "zoo.cli.runs",
    "zoo.cli.exports",
    "zoo.cli.searches",
    "zoo.cli.reports",
    "zoo.cli.evidence",
    "zoo.cli.health",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from zoo.version import __version__

        print(f"zoo {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Regularised variational auto-encoders: train, watch, evaluate, export, encode."""


_INTERRUPTED = 130
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
Run = Annotated[Path, typer.Argument(help="The directory of a run.", show_default=False)]


def fail(message: object, code: int = 2) -> NoReturn:
    """One line on standard error, and out."""
    text = " ".join(str(message).split())
    print(f"zoo: {text}", file=sys.stderr)
    raise SystemExit(code)


def load_tensorflow() -> None:
    """Imports TensorFlow and TFP without their start-up notes, which no setting of theirs turns off."""
    from zoo.cli.terminal import Stages

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with Stages() as stage:
        stage("loading TensorFlow")
        _import_tensorflow()


def _import_tensorflow() -> None:
    with quiet():
        for name in ("tensorflow", "keras", "tensorflow_probability.python.distributions"):
            importlib.import_module(name)
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()
        tensorflow.get_logger().setLevel("ERROR")


def say(text: str) -> None:
    """A note to the user, kept out of standard output."""
    print(f"zoo: {text}", file=sys.stderr)


def _say_own_warnings() -> None:
    """The zoo's warnings become a line each, without the line of code that gave them.

    Those of Keras and TensorFlow are about calls that the zoo makes, not about what its user did: they are left out.
    """
    warnings.filterwarnings("ignore", module=r"(keras|tensorflow|tensorflow_probability)(\.|$)")
    package, show = Path(__file__).parents[1], warnings.showwarning

    def say_or_show(message: Any, category: Any, filename: str, *rest: Any, **more: Any) -> None:
        if issubclass(category, UserWarning) and Path(filename).is_relative_to(package):
            say(f"warning: {' '.join(str(message).split())}")
        else:
            show(message, category, filename, *rest, **more)

    warnings.showwarning = say_or_show


def main() -> None:
    """Runs the command line; a user's mistake is one line and exit code 2."""
    for commands in COMMANDS:
        importlib.import_module(commands)
    from zoo.experiments.run_directory import RunError
    from zoo.experiments.schema import ConfigurationError

    _say_own_warnings()
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        code = app(standalone_mode=False) or 0
        if code == _INTERRUPTED:
            # Typer makes an exit code of Ctrl-C, and says nothing.
            fail("interrupted", code)
        raise SystemExit(code)
    except (ConfigurationError, RunError, ValueError) as error:
        if os.environ.get("ZOO_TRACEBACK"):
            raise
        fail(error)
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))
    except typer.Abort:
        fail("interrupted", _INTERRUPTED)
    except Exception as error:
        # Typer's errors about arguments, and TensorFlow's about memory, are a user's too; the rest is ours.
        if hasattr(error, "format_message"):
            fail(error.format_message())
        if type(error).__module__.startswith("tensorflow."):
            fail(str(error).splitlines()[0])
        raise
