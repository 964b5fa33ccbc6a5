"""The types of hyperparameters, and how a constructor's signature becomes a schema.

A method states its hyperparameters once, as annotated keywords of its constructor. From those annotations come
the check in Python (`checked`), the schema of the YAML files and the listing on the command line (`signature`).
The latter two read the source without running it, so that neither needs TensorFlow.
"""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

PACKAGE = Path(__file__).parent


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _count_or_counts(value: Any) -> Any:
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in values):
        raise ValueError("must be a whole number of at least 1, or a list of such numbers")
    return values if isinstance(value, list | tuple) else value


_Float = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_not_bool)]
_Int = Annotated[int, BeforeValidator(_not_bool)]

NonNegative = Annotated[_Float, Field(ge=0)]
Positive = Annotated[_Float, Field(gt=0)]
Fraction = Annotated[_Float, Field(ge=0, le=1)]
Count = Annotated[_Int, Field(ge=1)]
Size = Annotated[_Int, Field(ge=0)]
Seed = Annotated[_Int, Field(ge=0, lt=2**31)]
# Checked before pydantic does, whose errors about unions name the union's branches.
Counts = Annotated[int | list[int], BeforeValidator(_count_or_counts)]

_NAMESPACE = {
    "NonNegative": NonNegative,
    "Positive": Positive,
    "Fraction": Fraction,
    "Count": Count,
    "Counts": Counts,
    "Size": Size,
    "Seed": Seed,
    "Literal": Literal,
    "bool": bool,
    "str": str,
    "float": float,
    "int": int,
}

F = TypeVar("F", bound=Callable[..., Any])


def nearest(given: object, allowed: Iterable[str]) -> str:
    """Ends an error about a name: `did you mean 'vae'? (one of: contrastive, vae)`."""
    names = sorted(allowed)
    close = difflib.get_close_matches(str(given), names, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}(one of: {', '.join(names)})"


def one_line(error: ValidationError, allowed: dict[tuple, Iterable[str]] | None = None) -> str:
    """The first finding of a pydantic error as one line that names key, value and what is allowed.

    Args:
        error: what pydantic raised.
        allowed: the keys that a section takes, by its place, for the hint behind an unknown key.
    """
    finding = error.errors(include_url=False)[0]
    place = tuple(part for part in finding["loc"] if isinstance(part, str))
    key = ".".join(place)
    if finding["type"] == "extra_forbidden":
        names = (allowed or {}).get(place[:-1])
        hint = f"; {nearest(place[-1], names)}" if names else ""
        return f"{key}: no such key{hint}"
    if finding["type"] == "missing":
        return f"{key}: missing"
    message = finding["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if finding["type"] == "value_error":
        # Checks of our own begin with the key that they are about, if it is not the section's.
        if re.match(r"[\w.]+: ", message):
            return f"{key}.{message}" if key else message
        return f"{key}: {message}, got {finding['input']!r}" if key else f"{message}, got {finding['input']!r}"
    message = f"must be {message[0].lower()}{message[1:]}, got {finding['input']!r}"
    return f"{key}: {message}" if key else message


def _annotated(annotation: str) -> Any:
    """Evaluates an annotation made of the names above; None where it has others (a model, a tensor)."""
    try:
        return eval(annotation, {"__builtins__": {}}, _NAMESPACE)
    except (NameError, TypeError):
        return None


@functools.cache
def signature(module: str, name: str) -> dict[str, tuple[Any, Any]]:
    """Hyperparameters of a class or function of the zoo, read from its source.

    Args:
        module: dotted name below `zoo`, such as `models.contrastive`.
        name: a class (its constructor and its bases' are read) or a function.

    Returns:
        For each keyword whose annotation is one of this module's types: (annotation, default), where the
        default is `...` if there is none.
    """
    path = PACKAGE / (module.replace(".", "/") + ".py")
    path = path if path.is_file() else path.with_suffix("") / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: dict[str, tuple[Any, Any]] = {}
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef) and n.name == name)
    function: ast.FunctionDef | None
    if isinstance(node, ast.ClassDef):
        imported = {
            alias.name: item.module.removeprefix("zoo.")
            for item in tree.body
            if isinstance(item, ast.ImportFrom) and item.module and item.module.startswith("zoo.")
            for alias in item.names
        }
        for base in reversed(node.bases):
            if isinstance(base, ast.Name) and base.id in imported:
                found |= signature(imported[base.id], base.id)
        methods = (n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
        function = next(methods, None)
    else:
        function = node
    if function is None:
        return found
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [
        *zip(positional, [*missing, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        if argument.annotation is None:
            continue
        annotation = _annotated(ast.unparse(argument.annotation))
        if annotation is not None:
            found[argument.arg] = (annotation, ... if default is None else ast.literal_eval(default))
    return found


def checked(function: F) -> F:
    """Decorates a constructor or function: its annotated hyperparameters are checked on every call.

    Values are converted as their annotation says (the YAML string `1e-3` to a float).

    Raises:
        ValueError: at a call with a value of the wrong type or out of range; one line that names the owner, the
            keyword, what is allowed and what was given.
    """
    names = inspect.signature(function)
    adapters: dict[str, TypeAdapter] = {}
    for parameter in names.parameters.values():
        annotation = _annotated(parameter.annotation) if isinstance(parameter.annotation, str) else None
        if annotation is not None:
            adapters[parameter.name] = TypeAdapter(annotation)
    owner = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        bound = names.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            if name in adapters:
                try:
                    bound.arguments[name] = adapters[name].validate_python(value)
                except ValidationError as error:
                    raise ValueError(f"{owner}: {name} {one_line(error)}") from None
        return function(*bound.args, **bound.kwargs)

    # Keras reads the argument names of constructors without following wrappers.
    wrapper.__signature__ = names  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]
