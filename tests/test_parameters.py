"""Hyperparameters: read from signatures, wherever a class is defined, and checked with errors in one line."""

import sys
import types
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from zoo.parameters import NonNegative, checked, hyperparameters, takes


def module(name, source):
    """A module of a user's, from its source."""
    made = types.ModuleType(name)
    sys.modules[name] = made
    exec(compile(source, f"{name}.py", "exec"), made.__dict__)
    return made


CLASSES = """
from typing import Literal
import keras
from zoo.parameters import NonNegative, checked

class Base:
    @checked
    def __init__(self, encoder: keras.Model, size: Size, weight: NonNegative = 1.0, kind: Literal["a", "b"] = "a"):
        self.values = (size, weight, kind)

class Own(Base):
    @checked
    def __init__(self, *args, depth: int = 2, layers: list[int] | None = None, layer: keras.layers.Layer | None = None,
                 size=3, bare=1.0, unknown: "Nowhere" = 1, **kwargs):
        super().__init__(*args, size=size, **kwargs)

Size = int  # named before it is defined
"""


@pytest.fixture(params=["", "from __future__ import annotations\n"], ids=["objects", "strings"])
def classes(request):
    source = request.param + CLASSES
    if not request.param:
        source = source.replace("size: Size", "size: int").replace('"Nowhere"', '"Nowhere | int"')
    yield module("someones_module", source)
    del sys.modules["someones_module"]


def test_a_class_has_its_own_hyperparameters_and_its_bases(classes):
    found = hyperparameters(classes.Own)
    assert {name: default for name, (_, default) in found.items()} == {
        "size": 3,  # of the base, under another default
        "weight": 1.0,
        "kind": "a",
        "depth": 2,
        "layers": None,
    }
    assert found["size"][0] is int and found["weight"][0] == NonNegative
    assert hyperparameters(classes.Base)["size"][1] is ...
    assert takes(classes.Own, "bare") and takes(classes.Own, "encoder") and not takes(classes.Own, "nothing")


def test_checks_see_the_names_of_the_users_module(classes):
    assert classes.Own(None, weight="1e-1", size="4").values == (4, 0.1, "a")
    for arguments, message in (
        ({"depth": "deep"}, r"^Own: depth must be a valid integer.*, got 'deep'$"),
        ({"depth": True}, r"^Own: depth must be a number, not true or false, got True$"),
        ({"layers": [1, "x"]}, r"^Own: layers must be a valid integer.*, got 'x'$"),
        ({"weight": -1}, r"^Base: weight must be greater than or equal to 0, got -1$"),
        ({"kind": "c"}, r"^Base: kind must be 'a' or 'b', got 'c'$"),
    ):
        with pytest.raises(ValueError, match=message):
            classes.Own(None, **arguments)


def test_a_constructor_that_passes_nothing_up_hides_the_bases_hyperparameters():
    class Base:
        def __init__(self, weight: float = 1.0):
            pass

    class Tight(Base):
        def __init__(self, depth: int = 1):
            super().__init__()

    assert list(hyperparameters(Tight)) == ["depth"]


class Linear(BaseModel):
    """A schedule as a pydantic model."""

    name: Literal["linear"]
    steps: Annotated[int, Field(ge=1)]


@checked
def weighted(
    weight: NonNegative | Linear = 1.0,
    switch: bool | float | None = None,
    table: dict[str, float] | float = 0.0,
    either: Annotated[NonNegative | Literal["auto"], Field(description="of a union in Annotated")] = "auto",
):
    return weight, switch, table, either


def test_unions_take_what_one_of_their_members_takes():
    assert weighted("2", True, {"a": 1}, "auto") == (2.0, True, {"a": 1.0}, "auto")
    assert weighted({"name": "linear", "steps": 3})[0] == Linear(name="linear", steps=3)
    assert weighted(switch=None)[1] is None and weighted(switch=0.5)[1] == 0.5 and weighted(either=3)[3] == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": -1}, "weighted: weight must be greater than or equal to 0 or a valid dictionary or instance of "),
        ({"weight": {"name": "linear", "steps": 0}}, "weighted: weight.steps: must be greater than or equal to 1, got"),
        ({"weight": {"name": "linear"}}, "weighted: weight.steps: missing"),
        ({"weight": True}, "weighted: weight must be a number, not true or false or "),
        ({"table": {"a": "x"}}, "weighted: table.a: must be a valid number"),
        ({"switch": "on or off"}, "weighted: switch must be a valid boolean"),
        ({"either": "never"}, "or 'auto', got 'never'"),
    ],
)
def test_errors_of_unions_are_one_line_without_the_names_of_branches(arguments, message):
    with pytest.raises(ValueError) as caught:
        weighted(**arguments)
    text = str(caught.value)
    assert message in text
    assert "\n" not in text and "function-" not in text and "constrained" not in text and "Linear." not in text
