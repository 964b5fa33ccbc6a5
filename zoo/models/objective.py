"""From a batch to named terms, and from terms to one number an example.

`VAE` and its subclasses say what the terms of a loss are; `step` turns the number into a move of the weights.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from zoo.augmentation.view import apply_views
from zoo.domains import Domain
from zoo.latents.posterior import Latents
from zoo.likelihoods import Likelihood
from zoo.models.batch import Batch, split_index
from zoo.randomness import Draws
from zoo.training.players import MAIN, Player
from zoo.training.schedules import Schedule


class Term(NamedTuple):
    """One entry of an objective.

    Attributes:
        value: one number an example, [batch]; in nats unless the term's name says otherwise.
        weight: a number, a scalar tensor, a variable, or a schedule of the step; the number 0 only reports the value.
        player: whose loss it belongs to.
    """

    value: tf.Tensor
    weight: Any = 1.0
    player: str = MAIN

    def reported(self) -> Term:
        """The same value with no part in any loss."""
        return self._replace(weight=0.0)


def weighted_sum(terms: Mapping[str, Term], step: Any = 0) -> tf.Tensor:
    """Σ weight · value: [batch].

    In the order of their names, so that it does not depend, to the last bit, on the order in which methods were
    combined. A term of weight 0 is left out, not multiplied: 0 · inf would spoil the rest.
    """
    found = []
    for name in sorted(terms):
        value, weight, _ = terms[name]
        if isinstance(weight, Schedule):
            weight = weight(step)
        if isinstance(weight, int | float):
            if weight:
                found.append(weight * value)
        else:
            found.append(tf.math.multiply_no_nan(value, tf.cast(tf.convert_to_tensor(weight), value.dtype)))
    return tf.add_n(found)


class _Work(threading.local):
    """What a model is at, in one thread: replicas run in threads of their own.

    Attributes:
        stepping: whether the objective is being computed.
        activity: the penalties on activations of the passes so far.
    """

    def __init__(self) -> None:
        self.stepping = False
        self.activity: list[tf.Tensor] = []


class Objective(keras.Model):
    """A Keras model whose loss is a weighted sum of named terms, one value per example each.

    Subclasses give `seed`, `warmup_steps`, `domain`, `likelihood` and the hooks. Running means of all terms, of `loss`
    and of `elbo` are its Keras metrics, under the terms' own names.
    """

    # The terms that a method adds; the names of its metrics.
    adds: tuple[str, ...] = ()
    # Whether training takes `{"x": examples, "index": their numbers in the training set}`.
    needs_index: bool = False
    # Whether training is better for them.
    takes_index: bool = False

    seed: int
    warmup_steps: int
    domain: Domain
    likelihood: Likelihood

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Past Keras's attribute tracking: none of these is a part of the model's saved state.
        self.__dict__.update(trackers=[], work=_Work(), live_variables={}, player_optimizers={})
        # Compiled functions by what they do.
        self.__dict__["calls"] = {}
        self.step = self._counter("step")
        self.evaluation_step = self._counter("evaluation_step")
        # A bit for each player whose gradients were computed and not yet applied.
        self.pending = self._counter("pending")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        owners: dict[str, str] = {}
        for base in cls.__mro__:
            for term in base.__dict__.get("adds", ()):
                if term in owners:
                    raise ValueError(f"{owners[term]} and {base.__name__} cannot be combined: both add {term!r}")
                owners[term] = base.__name__

    def _counter(self, name: str) -> keras.Variable:
        # Replicas count alike, so the first one's count is everybody's.
        return self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            autocast=False,
            name=name,
            aggregation="only_first_replica",
        )

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def view(self, batch: Batch) -> tf.Tensor:
        """The examples that the bound is taken on, from `batch.original`: [batch, ...]."""
        return batch.x

    def infer(self, batch: Batch) -> Latents:
        """q(z|x), p(z) and a sample, for `batch.x`."""
        raise NotImplementedError

    def loss_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """The terms of the objective by name, each with its weight.

        In evaluation a term may be missing that held-out examples cannot have.

        Args:
            batch: the examples, before and after `view`.
            latents: as `infer` gave them for the batch.
        """
        raise NotImplementedError

    def players(self) -> list[Player]:
        """Who moves, in this order; `Player("model")` owns all variables that no other player names."""
        return [Player(MAIN)]

    def after_step(self) -> None:
        """Runs after the optimisers' steps: moving averages and the like."""

    def after_initialising(self) -> None:
        """Runs once the networks have their first weights, or another model's: copies of them and the like."""

    def term_names(self) -> tuple[str, ...]:
        """The names of all terms: those that the classes add, and what the likelihood reports."""
        added = (term for base in reversed(type(self).__mro__) for term in base.__dict__.get("adds", ()))
        return (*added, *self.likelihood.reported)

    def bound_names(self) -> tuple[str, ...]:
        """The names of the terms that the classes add to the bound itself, which a method may take twice."""
        hooks = {"elbo_terms", "rate_terms"}
        added = (base.__dict__.get("adds", ()) for base in reversed(type(self).__mro__) if hooks & set(base.__dict__))
        return (*(term for terms in added for term in terms), *self.likelihood.reported)

    # ── The objective ────────────────────────────────────────────────────────────────────────────────────────

    def draws(self, training: bool, phase: str | None = None) -> Draws:
        """This step's random numbers; the n-th batch of an evaluation has the same in every evaluation."""
        step = self.step if training else self.evaluation_step
        return Draws(self.seed, step.value, phase or ("training" if training else "evaluation"))

    def warm_up(self, training: bool) -> float | tf.Tensor:
        """The factor of the rate's weight: min(1, step / warmup_steps) in training, 1 in evaluation."""
        if not (training and self.warmup_steps):
            return 1.0
        return tf.minimum(1.0, tf.cast(self.step.value, tf.float32) / self.warmup_steps)

    def build_for(self, examples: Any) -> None:
        """Creates the weights of a model that was never used, by the shape of raw examples [batch, ...]."""
        if not self.built:
            with self.distribute_strategy.scope():
                self.build((None, *tf.convert_to_tensor(examples).shape[1:]))

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Around what computes the objective: hyperparameters that can change are tensors, layers' losses are kept."""
        before = self.work.stepping, self.work.activity
        self.work.stepping, self.work.activity = True, []
        try:
            yield
        finally:
            self.work.stepping, self.work.activity = before

    @property
    def stepping(self) -> bool:
        """Whether this thread computes the objective, so that hyperparameters that can change are tensors."""
        return self.work.stepping

    def batch(self, x: Any, training: bool, phase: str | None = None) -> Batch:
        """The batch that the hooks see, from raw examples.

        Args:
            x: examples, or `{"x": examples, "index": their numbers in the training set}`.
            training: False in evaluation.
            phase: keeps the draws of several passes of one step apart.
        """
        raw, index = split_index(x)
        self.build_for(raw)
        original = self.domain.prepare(tf.convert_to_tensor(raw))
        # Some pipelines do not know the shapes of their batches, and networks need them.
        original = tf.ensure_shape(original, [None, *self.example_shape])
        mask, draws = self.domain.mask(original), self.draws(training, phase)
        batch = Batch(original, original, draws, training, original, mask, index, domain=self.domain)
        # The mask is that of the view, which may have made an example shorter.
        return batch.of(self.view(batch), batch.stream)

    def _terms(self, x: Any, training: bool, phase: str | None = None) -> dict[str, Term]:
        batch = self.batch(x, training, phase)
        terms = self.loss_terms(batch, self.infer(batch))
        known, names = self.term_names(), {player.name for player in self.players()}
        for name, term in terms.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__}: loss_terms gives {name!r}, which no class names: adds = ({name!r},)"
                )
            if term.player not in names:
                raise ValueError(f"{type(self).__name__}: {name!r}: no player {term.player!r}; one of: {sorted(names)}")
        if training and (missing := [name for name in known if name not in terms]):
            raise ValueError(f"{type(self).__name__}: adds {missing[0]!r}, but loss_terms does not give it")
        return terms

    def _loss(self, terms: Mapping[str, Term], player: str) -> tf.Tensor:
        own = {name: term for name, term in terms.items() if term.player == player}
        if not own:
            raise ValueError(
                f"{type(self).__name__}: player {player!r} has no term; give one, Term(value, player={player!r})"
            )
        return weighted_sum(own, self.step.value)

    def _values(self, terms: Mapping[str, Term]) -> dict[str, tf.Tensor]:
        """All terms by name, with `loss` (the main player's) and, where there is one, the ELBO."""
        found = {"loss": self._loss(terms, MAIN), **{name: term.value for name, term in terms.items()}}
        if self.likelihood.normalised:
            found["elbo"] = -found["distortion"] - found["rate"]
        return found

    @tf.autograph.experimental.do_not_convert
    def objective(self, x: Any, training: bool) -> dict[str, tf.Tensor]:
        """All terms of a batch of raw examples, with `loss` (their weighted sum) and `elbo`: each [batch].

        It moves nothing and counts no step: for a training loop of one's own there are `compute_gradients` and
        `apply_gradients`. A likelihood that is not normalised has no `elbo`.

        Args:
            x: examples, or `{"x": examples, "index": their numbers in the training set}`.
            training: False in evaluation.
        """
        with self._at_work():
            return self._values(self._terms(x, training))

    def viewed(self, layers: Sequence[keras.layers.Layer], x: tf.Tensor, draws: Draws, stream: str) -> tf.Tensor:
        """A random view of prepared examples, `apply_views`; a step stops if it leaves what the likelihood takes."""
        view = apply_views(layers, x, draws, stream)
        if not layers or self.likelihood.support != "unit_interval":
            return view
        # Interpolation may miss by rounding.
        count = tf.math.count_nonzero(~((view > -1e-3) & (view < 1.0 + 1e-3)))
        message = f"the view {stream!r} leaves [0, 1], which the likelihood takes; entries that do, in one batch:"
        with tf.control_dependencies([tf.debugging.Assert(count == 0, [message, count])]):
            return tf.identity(view)

    def run(self, network: Any, *inputs: Any, training: bool = False) -> Any:
        """Calls one of the model's networks, and keeps the losses that its layers add for this pass.

        Keras keeps a layer's losses of the last call only; a network that runs on several views has several.
        """
        outputs = network(inputs[0] if len(inputs) == 1 else list(inputs), training=training)
        if training and self.work.stepping:
            regularised = sum(v.regularizer is not None for v in network.trainable_variables)
            losses = list(network.losses)
            self.work.activity.extend(losses[: len(losses) - regularised])
        return outputs
