"""The types of hyperparameters, and how a constructor's signature becomes a schema.

A method states its hyperparameters once, as annotated keywords of its constructor. From those annotations come
the check in Python (`checked`), the schema of the YAML files and the listing on the command line (`hyperparameters`).
"""

from __future__ import annotations

import collections.abc
import difflib
import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _count_or_counts(value: Any) -> Any:
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in values):
        raise ValueError("must be a whole number of at least 1, or a list of such numbers")
    return values if isinstance(value, list | tuple) else value


def strength(value: Any) -> Any:
    """Checks a number of at least 0, or a schedule: an object, or its description `{name: …, **arguments}`."""
    if isinstance(value, Mapping) and isinstance(value.get("name", value.get("class_name")), str):
        return dict(value)
    if callable(value) and hasattr(value, "get_config"):
        return value
    if isinstance(value, bool | Mapping):
        raise ValueError("must be a number, or a schedule such as {name: linear, start: 0, end: 1, steps: 1000}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError("must be a finite number of at least 0, or a schedule")
    return number


def strength_above_zero(value: Any) -> Any:
    """As `strength`, but above 0."""
    found = strength(value)
    if found == 0:
        raise ValueError("must be above 0")
    return found


def _countable(value: int) -> int:
    """A limit that nobody meets who means it, so that no listing need name it: TensorFlow counts no further."""
    if value >= 2**31:
        raise ValueError(f"must be less than {2**31}")
    return value


_Number = BeforeValidator(_not_bool)
_Countable = AfterValidator(_countable)
_Finite = Field(allow_inf_nan=False)

NonNegative = Annotated[float, _Finite, Field(ge=0), _Number]
Positive = Annotated[float, _Finite, Field(gt=0), _Number]
Fraction = Annotated[float, _Finite, Field(ge=0, le=1), _Number]
Count = Annotated[int, Field(ge=1), _Countable, _Number]
Size = Annotated[int, Field(ge=0), _Countable, _Number]
# Of a vector: what has more entries is a mistake, and would be built for hours before memory ends.
Width = Annotated[int, Field(ge=1, le=2**16), _Number]
Depth = Annotated[int, Field(ge=0, le=1000), _Number]
Seed = Annotated[int, Field(ge=0, lt=2**31), _Number]
# Checked before pydantic does, whose errors about unions name the union's branches.
Counts = Annotated[int | list[int], BeforeValidator(_count_or_counts)]


def _or_schedule(**limits: float) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number", **limits}, {"type": "schedule"}]})


# The weight of a term, or a temperature: what may change, or follow a schedule, while a model trains.
Strength = Annotated[Any, BeforeValidator(strength), _or_schedule(minimum=0)]
PositiveStrength = Annotated[Any, BeforeValidator(strength_above_zero), _or_schedule(exclusiveMinimum=0)]

PACKAGE = Path(__file__).parent

F = TypeVar("F", bound=Callable[..., Any])


# Of more names, an error lists the nearest alone.
_MANY = 20


def nearest(given: object, allowed: Iterable[str]) -> str:
    """Ends an error about a name: `did you mean 'vae'? (one of: contrastive, vae)`; of many names, the nearest."""
    names = sorted(allowed)
    shown = names if len(names) <= _MANY else [*difflib.get_close_matches(str(given), names, n=6, cutoff=0), "…"]
    listed = f"one of: {', '.join(shown)}"
    close = difflib.get_close_matches(str(given), names, n=1)
    return f"did you mean {close[0]!r}? ({listed})" if close else listed


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
    if finding["type"] == "value_error":
        message = _allowed(finding)
        # Checks of our own begin with the key that they are about, if it is not the section's.
        if re.match(r"[\w.]+: ", message):
            return f"{key}.{message}" if key else message
        return f"{key}: {message}, got {finding['input']!r}" if key else f"{message}, got {finding['input']!r}"
    message = f"{_allowed(finding)}, got {finding['input']!r}"
    return f"{key}: {message}" if key else message


def _allowed(finding: Any) -> str:
    """`must be …`, of a finding of pydantic's."""
    message = finding["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return message if finding["type"] == "value_error" else f"must be {message[0].lower()}{message[1:]}"


def _read(annotation: Any, function: Callable[..., Any]) -> Any:
    """An annotation of a function as an object; None where it is missing, or has names that are not to be found."""
    if annotation is inspect.Parameter.empty:
        return None
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        names = inspect.unwrap(function).__globals__  # type: ignore[attr-defined]
        return typing.get_type_hints(holder, names, include_extras=True)["it"]
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None


def _is_hyperparameter(annotation: Any) -> bool:
    """Whether values of an annotation can stand in a YAML file: numbers, words, and lists and mappings of them."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        # Anything at all, with a check of our own.
        return inner[0] is Any or _is_hyperparameter(inner[0])
    if origin is Literal:
        return True
    if origin in {typing.Union, types.UnionType}:
        return all(map(_is_hyperparameter, inner))
    if origin is not None:
        known = {list, tuple, dict, collections.abc.Sequence, collections.abc.Mapping}
        return origin in known and all(part is ... or part is Any or _is_hyperparameter(part) for part in inner)
    if annotation in {bool, int, float, str, list, tuple, dict, types.NoneType}:
        return True
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _keywords(owner: Callable[..., Any]) -> Iterator[tuple[str, Any, Any]]:
    """(name, annotation, default) of all that a function takes, or a class's constructor and those above it."""
    functions = [owner]
    if isinstance(owner, type):
        functions = []
        for base in owner.__mro__:
            if not inspect.isfunction(constructor := vars(base).get("__init__")):
                continue
            functions.insert(0, constructor)
            kinds = {parameter.kind for parameter in inspect.signature(constructor).parameters.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                # It passes nothing up that it does not know.
                break
    for function in functions:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind in {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}:
                default = ... if parameter.default is inspect.Parameter.empty else parameter.default
                yield parameter.name, _read(parameter.annotation, function), default


def hyperparameters(owner: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Hyperparameters of a function, or of a class: of its constructor and, as far as it takes `**kwargs`, its bases'.

    Returns:
        (annotation, default) by keyword, for each whose annotation a YAML file can satisfy: numbers, words, `Literal`,
        lists and mappings of these, pydantic's models, None. The default is `...` where there is none.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for name, annotation, default in _keywords(owner):
        if annotation is None and name in found:
            # A constructor that takes a base's keyword without saying anew what it may be.
            found[name] = (found[name][0], default)
        elif annotation is not None and _is_hyperparameter(annotation):
            found[name] = (annotation, default)
        else:
            found.pop(name, None)
    return found


def takes(owner: Callable[..., Any], keyword: str) -> bool:
    """Whether a function or constructor has a keyword at all, annotated or not."""
    return any(name == keyword for name, _, _ in _keywords(owner))


def strict(annotation: Any) -> Any:
    """The annotation as pydantic is to check it: no true for 1, and an error of a union in one line."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is int or annotation is float:
        return Annotated[annotation, _Number]
    if origin is Annotated:
        return Annotated[(strict(inner[0]), *inner[1:])]
    if origin in {typing.Union, types.UnionType}:
        others = [strict(part) for part in inner if part is not types.NoneType]
        if len(others) > 1:
            return Annotated[Any, PlainValidator(_one_of([*others, None] if types.NoneType in inner else others))]
        return typing.Optional[others[0]]  # noqa: UP045
    return annotation


def _one_of(members: list[Any]) -> Callable[[Any], Any]:
    """A validator of a union, whose error is one line: pydantic's has one for each branch, under the branch's name."""
    either: Any = typing.Union[tuple(members)]  # noqa: UP007
    union: TypeAdapter = TypeAdapter(either)
    branches: list[TypeAdapter] = [TypeAdapter(member) for member in members]

    def check(value: Any) -> Any:
        try:
            return union.validate_python(value)
        except ValidationError:
            allowed = []
        for branch in branches:
            try:
                branch.validate_python(value)
            except ValidationError as error:
                finding = error.errors(include_url=False)[0]
                if finding["loc"]:
                    # Of this kind, but something inside of it is wrong.
                    raise ValueError(one_line(error)) from None
                allowed.append(_allowed(finding).removeprefix("must be "))
        raise ValueError(f"must be {' or '.join(dict.fromkeys(allowed))}")

    return check


@functools.cache
def _adapter(owner: type, name: str) -> TypeAdapter | None:
    found = hyperparameters(owner).get(name)
    return TypeAdapter(strict(found[0])) if found else None


def checked_value(owner: type, name: str, value: Any) -> Any:
    """A value for a hyperparameter of a class, as its constructor would take it; others as they are.

    Raises:
        ValueError: as `checked`.
    """
    adapter = _adapter(owner, name)
    try:
        return value if adapter is None else adapter.validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{owner.__name__}: {name} {one_line(error)}") from None


def is_plain(value: Any) -> bool:
    """Whether JSON holds a value: a number, a word, None, and lists and mappings of these."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(one) for key, one in value.items())
    return value is None or isinstance(value, bool | int | float | str)


def checked(function: F) -> F:
    """Decorates a constructor or function: its annotated hyperparameters are checked on every call.

    Values are converted as their annotation says (the YAML string `1e-3` to a float).

    Raises:
        ValueError: at a call with a value of the wrong type or out of range; one line that names the owner, the
            keyword, what is allowed and what was given.
    """
    names = inspect.signature(function)
    owner = function.__qualname__.removesuffix(".__init__")

    @functools.cache
    def adapters() -> dict[str, TypeAdapter]:
        # At the first call: annotations may name what the module defines further down.
        found = {name: _read(parameter.annotation, function) for name, parameter in names.parameters.items()}
        return {name: TypeAdapter(strict(kind)) for name, kind in found.items() if kind and _is_hyperparameter(kind)}

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        bound = names.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            if name in adapters():
                try:
                    bound.arguments[name] = adapters()[name].validate_python(value)
                except ValidationError as error:
                    message = one_line(error)
                    inside = "." if re.match(r"[\w.]+: ", message) else " "
                    raise ValueError(f"{owner}: {name}{inside}{message}") from None
        return function(*bound.args, **bound.kwargs)

    # Keras reads the argument names of constructors without following wrappers.
    wrapper.__signature__ = names  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]
