"""One batch as the objective sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from zoo.domains.domain import Domain
from zoo.randomness import Draws


@dataclass(frozen=True)
class Batch:
    """All that the hooks of a method may look at; made once a step.

    Attributes:
        x: the examples that the bound is taken on, as `view` gave them: [batch, ...], prepared by the domain.
        original: the examples before `view`, prepared likewise.
        draws: the step's random numbers, by name.
        training: False in evaluation.
        given: what an autoregressive decoder is told, the examples themselves (teacher forcing); others ignore it.
        mask: which entries of x count, [batch, ...], True where they do; None where all do.
        index: the number of each example in the training set, [batch], where the data tell it.
        stream: names the draws made for x; other views of the same step have names of their own.
        domain: what x is; finds the mask of a view.
    """

    x: tf.Tensor
    original: tf.Tensor
    draws: Draws
    training: bool
    given: tf.Tensor | None = None
    mask: tf.Tensor | None = None
    index: tf.Tensor | None = None
    stream: str = "posterior"
    domain: Domain | None = None

    @property
    def size(self) -> tf.Tensor:
        """How many examples this replica has."""
        return tf.shape(self.x)[0]

    def of(self, x: tf.Tensor, stream: str) -> Batch:
        """The same examples under another view x, whose draws have another name."""
        mask = self.mask if self.domain is None else self.domain.mask(x)
        return replace(self, x=x, given=x, mask=mask, stream=stream)


def split_index(x: Any) -> tuple[Any, Any]:
    """Takes `{"x": examples, "index": numbers}` apart; anything else is examples without numbers.

    Raises:
        ValueError: a mapping with other keys.
    """
    if not isinstance(x, dict):
        return x, None
    if "x" not in x or not set(x) <= {"x", "index"}:
        raise ValueError(f"inputs: a mapping takes the keys 'x' and 'index', got {', '.join(map(repr, x))}")
    return x["x"], x.get("index")


def examples_of(x: Any) -> Any:
    """The examples, or their specification, in anything that `fit` takes.

    Args:
        x: an array or a tensor, `{"x": …, "index": …}`, or a data set of these, alone or with labels and weights.
    """
    if isinstance(x, tf.data.Dataset):
        x = x.element_spec
        x = x[0] if isinstance(x, tuple) else x
    return split_index(x)[0]
