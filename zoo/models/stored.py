"""What a model is told when it is made, kept: settings that may change or may not, and files that hold them."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Self

import keras

from zoo.models.codec import Codec
from zoo.parameters import checked_value, hyperparameters, is_plain
from zoo.training.live import Live, configuration


class Stored(Codec):
    """A model whose constructor's keywords are its settings, checked when they are set and saved with it."""

    # Settings that weights depend on: they cannot change once the model is built.
    fixed: tuple[str, ...] = ()
    # The methods of a combination, by name.
    methods: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; a hyperparameter that is in the graph already makes `fit` trace its step anew.

        Raises:
            AttributeError: a setting that the weights of a built model depend on.
            ValueError: a value that the constructor would refuse.
        """
        kind: Any = type(self)
        known = name in _settings(kind) and not isinstance(getattr(kind, name, None), Live)
        if known and name in self._fixed() and self.__dict__.get("built") and getattr(self, name, None) is not value:
            raise AttributeError(f"{type(self).__name__}: {name} is fixed once the model is built; make another model")
        if known and self.__dict__.get("built"):
            value = checked_value(kind, name, value)
        super().__setattr__(name, value)
        if known and self.__dict__.get("built"):
            self.retrace()

    @classmethod
    def _fixed(cls) -> set[str]:
        return {name for base in cls.__mro__ for name in base.__dict__.get("fixed", ())}

    # ── Files ───────────────────────────────────────────────────────────────────────────────────────────────

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """As Keras's; a model that was never used is built first."""
        self.build_if_known()
        super().save(filepath, *args, **kwargs)

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        """As Keras's; a model that was never used is built first."""
        self.build_if_known()
        super().save_weights(*args, **kwargs)

    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        """As Keras's; a model that was never used is built first."""
        self.build_if_known()
        super().load_weights(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, networks included; of a subclass all that are numbers, words and lists of them.

        Raises:
            ValueError: an argument of a subclass that is no attribute of the model, or of another kind, so that it
                would be lost.
        """
        serialise = keras.saving.serialize_keras_object
        own, kind, ours = {}, type(self).__name__, type(self).get_config is Stored.get_config
        kinds: Any = type(self)
        for name in sorted(_settings(kinds) - _PARTS):
            if not hasattr(self, name):
                if ours:
                    raise ValueError(f"{kind}: takes {name!r} and does not keep it; write self.{name} = {name}")
            elif is_plain(value := configuration(getattr(self, name))) or name in hyperparameters(type(self)):
                own[name] = value
            elif ours:
                what = type(value).__name__
                raise ValueError(f"{kind}: {name!r} is a {what}, which is not saved by itself; write get_config for it")
        return {
            **super().get_config(),
            **own,
            **({"methods": list(self.methods)} if self.methods else {}),
            "encoder": serialise(self.encoder),
            "decoder": serialise(self.decoder),
            "likelihood": serialise(self.likelihood),
            "prior": serialise(self.prior),
            "domain": self.domain and serialise(self.domain),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Self:
        """Rebuilds the model, networks included, from `get_config`."""
        # Says of a saved combination what this class knows of itself.
        config = {key: value for key, value in config.items() if key != "methods"}
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("encoder", "decoder")
        }
        return cls(**{**config, **networks})

    def save_own_variables(self, store: Any) -> None:
        """Writes counters and the numbers of the objective by name, so that files of other versions can be read."""
        for variable in self._own_variables():
            store[variable.name] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote; what a file of an older version lacks keeps its value."""
        own = self._own_variables()
        names = set(store.keys())
        if all(name.isdigit() for name in names):
            # An older version numbered them, and had no numbers of the objective.
            skipped = {id(v) for v in (*self.live_variables.values(), self.pending)}
            old = [v for v in own if id(v) not in skipped]
            for i, variable in enumerate(old):
                if str(i) in names:
                    variable.assign(store[str(i)])
            return
        for variable in own:
            if variable.name in names:
                variable.assign(store[variable.name])

    def _own_variables(self) -> list[keras.Variable]:
        return [*self._trainable_variables, *self._non_trainable_variables]


# Of the constructor's keywords those that `get_config` names one by one.
_PARTS = frozenset({"encoder", "decoder", "likelihood", "prior", "domain"})


@functools.cache
def _settings(cls: type) -> frozenset[str]:
    """The names of all keywords of a class's constructor and of those that it inherits."""
    found: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in base.__dict__ and issubclass(base, Stored):
            parameters = inspect.signature(base.__dict__["__init__"]).parameters.values()
            # Whatever the collectors of further arguments are called.
            found |= {one.name for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    return frozenset(found - {"self", "name"})
