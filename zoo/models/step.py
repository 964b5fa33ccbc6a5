"""The one training step: a player's terms become gradients, gradients become a move, on one device or on many."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from zoo import replicas
from zoo.models.batch import split_index
from zoo.models.compiled import Compiled
from zoo.parameters import nearest
from zoo.training.players import MAIN, Player


class Gradients(NamedTuple):
    """What `compute_gradients` gives and `apply_gradients` takes.

    Attributes:
        player: whose they are.
        values: one for each of the player's variables, in their order.
        terms: all terms of the batch, with `loss` and `elbo`: [batch] each.
        update: which of the player's moves in this step, from 0.
        sample_weight: of the batch's examples; None where all count alike.
    """

    player: str
    values: list[tf.Tensor | None]
    terms: dict[str, tf.Tensor]
    update: int = 0
    sample_weight: Any = None


class Step(Compiled):
    """An objective with a training step, for one player or several, that `fit` and loops of one's own share."""

    # ── Gradients ────────────────────────────────────────────────────────────────────────────────────────────

    def _gradients(self, x: Any, sample_weight: Any, player: Player, update: int = 0) -> Gradients:
        variables = self.variables_of(player)
        # Moving averages, queues and the like move once a step, in the main player's last pass.
        last = player.name == MAIN and update + 1 == player.updates
        state = [] if last else [v for v in self.non_trainable_variables if "seed_generator" not in v.path]
        before = [tf.identity(v.value) for v in state]
        with tf.GradientTape() as tape, self._at_work():
            terms = self._terms(x, True, _phase(player.name, update))
            loss = self._loss(terms, player.name)
            weights = tf.ones_like(loss) if sample_weight is None else sample_weight
            # A column of weights would broadcast to all pairs of examples.
            weights = tf.reshape(tf.cast(weights, loss.dtype), [-1])
            # Keras adds the replicas' gradients up: each replica contributes its part of the global mean.
            total = replicas.total(tf.reduce_sum(weights))
            loss = tf.math.divide_no_nan(tf.reduce_sum(weights * loss), total)
            if own := self._regularisation(variables, player.name):
                loss += tf.add_n(own) / tf.distribute.get_strategy().num_replicas_in_sync
            scaled = self.optimizer_of(player.name).scale_loss(loss)
            values = self._values(terms)
        if state:
            replicas.put_back(state, before, tf.constant(True))
        optimizer = self.optimizer_of(player.name)
        gradients = replicas.synchronised(tape.gradient(scaled, variables), optimizer)
        return Gradients(player.name, gradients, values, update, sample_weight)

    def _regularisation(self, variables: list[keras.Variable], player: str) -> list[tf.Tensor]:
        """The penalties of a player's variables; the main player has those on activations too, of every pass."""
        of_weights = [v.regularizer(v) for v in variables if v.regularizer is not None]
        return [*of_weights, *(self.work.activity if player == MAIN else [])]

    # Not converted by AutoGraph, as `fit` is not: it would warn of Python that it cannot read.
    @tf.autograph.experimental.do_not_convert
    def compute_gradients(self, data: Any, player: str = MAIN, update: int = 0) -> Gradients:
        """The gradients of a player's loss on a batch, for a training loop of one's own; see `apply_gradients`.

        Works eagerly and in a `tf.function`. A clipped gradient under several replicas is clipped already.

        Args:
            data: x, (x, y) or (x, y, sample_weight), as `fit` takes them.
            player: whose.
            update: which of the player's moves in this step, from 0: each has noise of its own.

        Raises:
            ValueError: no `compile` yet, an unknown player, or more moves than it has in a step.
            tf.errors.InvalidArgumentError: the player's last gradients were never applied: forgotten, and these would
                have the same noise and the same step; or values that no example can have.
        """
        if not self.compiled:
            raise ValueError("compute_gradients: the model has no optimiser yet; call compile() first")
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.build_for(split_index(x)[0])
        known = {one.name: one for one in self.players()}
        if player not in known:
            raise ValueError(f"compute_gradients: no player {player!r}; {nearest(player, known)}")
        if not 0 <= update < known[player].updates:
            moves = known[player].updates
            raise ValueError(f"compute_gradients: update {update}, but {player!r} has {moves} in a step, from 0")
        message = f"compute_gradients: the last gradients of {player!r} were never applied; call apply_gradients first"
        own = self._pending_bit(player)
        free = tf.bitwise.bitwise_and(self.pending.value, own) == 0
        with tf.control_dependencies([tf.debugging.Assert(free, [message]), *self._assertions(x)]):
            x = tf.nest.map_structure(tf.identity, x)
        found = self._gradients(x, sample_weight, known[player], update)
        self.pending.assign(tf.bitwise.bitwise_or(self.pending.value, own))
        return found

    @tf.autograph.experimental.do_not_convert
    def apply_gradients(self, gradients: Gradients) -> dict[str, tf.Tensor]:
        """Moves a player's variables; with the main player's last move the step ends: noise and averages go on.

        Args:
            gradients: of `compute_gradients`.

        Returns:
            The running means of all terms, as `fit` reports them; nothing before the step has ended.

        Raises:
            tf.errors.InvalidArgumentError: gradients that were applied already.
        """
        player = next(one for one in self.players() if one.name == gradients.player)
        own = self._pending_bit(player.name)
        message = (
            f"apply_gradients: these gradients of {player.name!r} were applied already; call compute_gradients first"
        )
        waiting = tf.bitwise.bitwise_and(self.pending.value, own) != 0
        with tf.control_dependencies([tf.debugging.Assert(waiting, [message])]):
            values = [None if value is None else tf.identity(value) for value in gradients.values]
        self._apply(gradients._replace(values=values), player)
        self.pending.assign(tf.bitwise.bitwise_and(self.pending.value, tf.bitwise.invert(own)))
        if player.name != MAIN or gradients.update + 1 < player.updates:
            return {}
        self._end_step()
        return self._track(gradients.terms, gradients.sample_weight)

    def _pending_bit(self, player: str) -> tf.Tensor:
        """The bit of `pending` that says whether a player's gradients wait for being applied."""
        place = [one.name for one in self.players()].index(player)
        return tf.constant(1 << place, tf.int64)

    def _apply(self, gradients: Gradients, player: Player) -> None:
        pairs = zip(gradients.values, self.variables_of(player), strict=True)
        self.optimizer_of(player.name).apply_gradients(pairs)

    def _end_step(self) -> None:
        self.step.assign_add(1)
        self.after_step()

    # ── The step ─────────────────────────────────────────────────────────────────────────────────────────────

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step of every player on a batch x, (x, y) or (x, y, sample_weight); y is never trained on.

        The loss is the mean over the global batch, weighted by `sample_weight` [batch] where it is given. Regularisers
        of the networks' own layers are minimised along with it, but are no part of what `loss` reports.
        """
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.control_dependencies(self._assertions(x)):
            x = tf.nest.map_structure(tf.identity, x)
        terms: dict[str, tf.Tensor] = {}
        for player in self.players():
            for i in range(player.updates):
                found = self._move(player, x, sample_weight, i)
                terms = found if player.name == MAIN else terms
        # A batch that is refused, or that a generator does not have any more, is no step.
        with tf.control_dependencies(tf.nest.flatten(x)):
            self._end_step()
        return self._track(terms, sample_weight)

    def _move(self, player: Player, x: Any, sample_weight: Any, update: int) -> dict[str, tf.Tensor]:
        """A player's pass and update, or none where it rests."""
        if player.always:
            found = self._gradients(x, sample_weight, player, update)
            self._apply(found, player)
            return found.terms
        moves = player.moves(self.step.value)
        if player.name != MAIN and tf.distribute.get_strategy().num_replicas_in_sync == 1:

            def move() -> tf.Tensor:
                self._apply(self._gradients(x, sample_weight, player, update), player)
                return tf.constant(True)

            tf.cond(moves, move, lambda: tf.constant(False))
            return {}
        # Replicas cannot talk inside a condition: all move, and those that should have rested are put back.
        found = self._gradients(x, sample_weight, player, update)
        kept = [*self.variables_of(player), *self.optimizer_of(player.name).variables]
        before = [tf.identity(v.value) for v in kept]
        self._apply(found, player)
        replicas.put_back(kept, before, ~moves)
        return found.terms

    def _assertions(self, x: Any) -> list[tf.Operation]:
        """What stops a step on values that no example can have; `fit` turns it into one line."""
        raw, _ = split_index(x)
        raw = tf.convert_to_tensor(raw)
        self.build_for(raw)
        if raw.dtype in (tf.uint8, tf.bool) and self.likelihood.support != "categories":
            return []
        count = self.domain.invalid(self.domain.prepare(raw), self.likelihood.support)
        limits = " or outside [0, 1]" if self.likelihood.support == "unit_interval" else ""
        message = f"entries of the {self.domain.noun} are NaN, infinite{limits}, in one batch:"
        return [tf.debugging.Assert(count == 0, [message, count])]

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The same terms on a batch of held-out data, with the ELBO on the examples as they are."""
        x, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.control_dependencies(self._assertions(x)):
            x = tf.nest.map_structure(tf.identity, x)
        terms = self.objective(x, training=False)
        self.evaluation_step.assign_add(1)
        return self._track(terms, sample_weight)

    def _track(self, terms: dict[str, tf.Tensor], sample_weight: tf.Tensor | None) -> dict[str, tf.Tensor]:
        present = [tracker for tracker in self.trackers if tracker.name in terms]
        for tracker in present:
            tracker.update_state(terms[tracker.name], sample_weight=sample_weight)
        return {tracker.name: tracker.result() for tracker in present}


def _phase(player: str, update: int) -> str:
    """Names the draws of a player's move: those of the main player's first are the step's own."""
    if player == MAIN:
        return f"training/{update}" if update else "training"
    return f"training/{player}/{update}"
