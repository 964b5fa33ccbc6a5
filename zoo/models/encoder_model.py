"""The first half of a VAE as a Keras model of its own, for other models to build on."""

from __future__ import annotations

from typing import Any, Self

import keras
import tensorflow as tf

from zoo import domains


@keras.saving.register_keras_serializable("zoo")
class EncoderModel(keras.Model):
    """Raw examples → loc and scale of q(z|x), the domain's preparation included.

    Made by `model.encoder_model()`. Integers are scaled as the VAE scales them; where a Keras model stands in front, it
    must hand them on as integers: `keras.Input(shape, dtype="uint8")`, for Keras casts them to floats otherwise.

    Args:
        network: prepared examples → `{"loc": [batch, dim], "scale": [batch, dim]}`, or one tensor [batch, dim].
        domain: what the examples are.
        support: what the VAE's likelihood takes; under `unit_interval` images beyond [0, 1] are refused.
    """

    def __init__(
        self,
        network: keras.Model,
        domain: str | dict | domains.Domain,
        support: str = "real",
        **kwargs: Any,
    ) -> None:
        # Float32 also under mixed precision: bytes would lose nothing, but other examples would.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.network = network
        self.support = support
        # Past Keras's attribute tracking, for it is no layer.
        self.__dict__["domain"] = domains.get(domain)
        # Builds it; Keras exports only what has been called.
        self(keras.Input(network.input_shape[1:]))

    def call(self, x: tf.Tensor, training: bool | None = None) -> Any:
        """What the network gives, for raw examples [batch, ...]."""
        prepared = self.domain.prepare(x)
        if x.dtype.is_floating:
            message = (
                f"encoder_model: {self.domain.noun} are NaN, infinite or out of range (if they were integers, tell "
                "Keras: keras.Input(shape, dtype='uint8')); entries that are:"
            )
            count = self.domain.invalid(prepared, self.support)
            if isinstance(self.domain, domains.Images) and self.support == "real":
                # Bytes that something has cast: no likelihood would refuse them.
                bytes_ = tf.reduce_all(x == tf.round(x)) & (tf.reduce_max(x) > 1.0)
                count += tf.cast(bytes_, count.dtype) * tf.size(x, count.dtype)
            with tf.control_dependencies([tf.debugging.Assert(count == 0, [message, count])]):
                prepared = tf.identity(prepared)
        return self.network(prepared, training=training)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, the network included."""
        serialise = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "network": serialise(self.network),
            "domain": serialise(self.domain),
            "support": self.support,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Self:
        """Rebuilds the model, its network included, from `get_config`."""
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        return cls(**{**config, "network": network})


def encoder_of(model: Any, output: str | None) -> EncoderModel:
    """The encoder model of a VAE, made of its own layers. Raises as `Codec.encoder_model`."""
    name = type(model).__name__
    if output not in (None, "loc"):
        raise ValueError(f"encoder_model: output must be 'loc', or None for loc and scale, got {output!r}")
    if not model.built:
        raise ValueError(f"{name}: has no weights yet; build it, or call it on examples, before encoder_model()")
    if not model.has_plain_posterior():
        raise ValueError(
            f"{name}: encoder_model() is the encoder with one head, but {name} finds its posterior otherwise; give it "
            "an encoder_model of its own"
        )
    x = keras.Input(model.example_shape, name="prepared")
    # Not decided here whether it trains: that is told with each call.
    features, _ = model.features(x, training=None)  # type: ignore[arg-type]
    if output == "loc":
        # Without the scale's layer, whose weights would get no gradient.
        outputs = model.head.loc(model.head.flatten(features))
    else:
        outputs = dict(zip(("loc", "scale"), model.head(features), strict=True))
    network = keras.Model(x, outputs, name="posterior")
    return EncoderModel(network, model.domain, model.likelihood.support)
