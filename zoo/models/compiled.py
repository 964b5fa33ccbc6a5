"""Optimisers for every player, running means for every term: what `compile` gives a model."""

from __future__ import annotations

from typing import Any

import keras

from zoo.models.objective import Objective
from zoo.parameters import nearest
from zoo.training.players import MAIN, Player


class Compiled(Objective):
    """An objective whose players have optimisers."""

    # ── Who moves what ─────────────────────────────────────────────────────────────────────────────────────────

    def variables_of(self, player: Player) -> list[keras.Variable]:
        """The trainable variables that a player moves."""
        others = [one for one in self.players() if one.name != MAIN]
        owned = {id(v) for one in others for v in one.variables}
        if player.name == MAIN:
            return [v for v in self.trainable_weights if id(v) not in owned]
        mine = {id(v) for v in player.variables}
        return [v for v in self.trainable_weights if id(v) in mine]

    def optimizer_of(self, player: str) -> keras.optimizers.Optimizer:
        """The optimiser of a player.

        Raises:
            ValueError: there is none.
        """
        if player == MAIN:
            return self.optimizer
        if player not in self.player_optimizers:
            raise ValueError(f"compile: no optimiser for player {player!r}; compile(optimizers={{{player!r}: …}})")
        return self.player_optimizers[player]

    # ── Compiling ───────────────────────────────────────────────────────────────────────────────────────────

    def compile(
        self, optimizer: Any = "adam", optimizers: Any = None, jit_compile: bool = False, **kwargs: Any
    ) -> None:
        """As Keras's; the objective is the model's own. Builds the model where its encoder knows its input.

        Args:
            optimizer: of the main player: name or object.
            optimizers: of further players, `{"critic": optimiser}`; a player that is not named gets one like the main
                player's.
            jit_compile: XLA; off by default because it makes the step slower on CPUs.
            **kwargs: `run_eagerly`, `steps_per_execution`, ….

        Raises:
            ValueError: a loss or metrics, or an optimiser for a player that the model does not have.
        """
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if kwargs.get(name):
                raise ValueError(f"{type(self).__name__}.compile: no {name}; the objective is the model's own")
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self.build_if_known()
        others = [player.name for player in self.players() if player.name != MAIN]
        given = dict(optimizers or {})
        for name in given:
            if name not in others:
                known = nearest(name, others) if others else "the model has no player but its own"
                raise ValueError(f"{type(self).__name__}.compile: optimizers: no player {name!r}; {known}")
        with self.distribute_strategy.scope():
            self.player_optimizers = {name: self._like_main(name, given.get(name)) for name in others}
            trackers = [keras.metrics.Mean(name) for name in ("loss", *self.term_names())]
            trackers += [keras.metrics.Mean("elbo")] if self.likelihood.normalised else []
        self.__dict__["trackers"] = trackers
        self.build_optimizers()

    def _like_main(self, player: str, given: Any) -> keras.optimizers.Optimizer:
        """A player's optimiser: what was given for it, or one with the main player's settings."""
        main: Any = self.optimizer
        if given is None:
            inner = getattr(main, "inner_optimizer", main)
            given = type(inner).from_config(inner.get_config())
        try:
            given = keras.optimizers.get(given)
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{type(self).__name__}.compile: optimizers: {player!r}: {reason}") from None
        if hasattr(main, "inner_optimizer") and not hasattr(given, "inner_optimizer"):
            given = keras.optimizers.LossScaleOptimizer(given)
        return given

    def build_if_known(self) -> None:
        """Creates the weights of a model whose networks say what they take; a hook of `compile`."""

    def build_optimizers(self) -> None:
        """Creates the optimisers' variables, which a checkpoint is loaded into."""
        if not self.built or self.optimizer is None:
            return
        owners: dict[int, str] = {}
        for player in self.players():
            for variable in self.variables_of(player):
                if (other := owners.setdefault(id(variable), player.name)) != player.name:
                    raise ValueError(f"players: {other!r} and {player.name!r} both own {variable.path}")
        with self.distribute_strategy.scope():
            for player in self.players():
                optimizer = self.optimizer_of(player.name)
                if not optimizer.built:
                    optimizer.build(self.variables_of(player))

    def get_compile_config(self) -> dict[str, Any] | None:
        """As Keras's, with the optimisers of further players."""
        config = super().get_compile_config()
        if config and self.player_optimizers:
            serialise = keras.saving.serialize_keras_object
            config["optimizers"] = {name: serialise(one) for name, one in self.player_optimizers.items()}
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was, the optimisers' state included."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def retrace(self) -> None:
        """Makes `fit`, `evaluate` and `predict` trace their steps anew: a setting has changed that is in the graph."""
        for kind in ("train", "test", "predict"):
            if getattr(self, f"{kind}_function", None) is not None:
                getattr(self, f"make_{kind}_function")(force=True)
        self.calls.clear()

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        # Keras's averages the replicas' batches first, which fails where one has an example more than another.
        self.build_optimizers()

    def _get_metrics_result_or_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        # Keras takes the running means, over replicas, only where the logs name all of them; else it averages the
        # replicas' own. A term that held-out examples cannot have would spoil the others.
        known = {tracker.name: tracker.result() for tracker in self.trackers if tracker.name in logs}
        return {**logs, **known}

    def reset_metrics(self) -> None:
        """Starts the running means, and the evaluation's noise, anew."""
        super().reset_metrics()
        self.evaluation_step.assign(0)

    # ── Running means ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Running means of `loss`, of every term and, under a normalised likelihood, of `elbo`."""
        return list(self.trackers)
