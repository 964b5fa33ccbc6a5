"""The variational auto-encoder (Kingma & Welling 2014), base of every method.

A method of the zoo is a subclass in a file of its own that overrides one or two of the hooks: `view`, `infer`,
`generate`, `loss_terms`, `loss_weights`, `after_step`. The training step is in `objective`; what users call on a
trained model (`encode`, `sample`, `log_prob`) is `zoo.models.codec`'s.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Self

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import likelihoods
from zoo.latents.head import GaussianHead
from zoo.latents.posterior import Latents
from zoo.models.batch import Batch
from zoo.models.codec import Codec, Posterior, times
from zoo.models.objective import Weight
from zoo.parameters import Count, NonNegative, Seed, Size, checked


class _BuiltWhenConstructed(type(keras.Model)):
    """Builds a model whose encoder knows its input, after the outermost constructor has run.

    A Keras model can only be saved or searched over once it is built, and takes no new layers from then on.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        model = super().__call__(*args, **kwargs)
        shape = getattr(model.encoder, "input_shape", None)
        if shape is not None:
            model.build(shape)
        return model


@keras.saving.register_keras_serializable("zoo")
class VAE(Codec, metaclass=_BuiltWhenConstructed):
    """The plain VAE, and with `beta` the β-VAE (Higgins et al. 2017).

    loss = distortion + β · rate, with distortion = −E_q log p(x|z) and rate = KL(q(z|x) ‖ N(0, I)), in nats, summed
    over dimensions and averaged over examples (weighted by `sample_weight` where it is given).

    Images come as integers (0 to 255, scaled inside the step), booleans, or floats. Every random number of a step is
    a function of `seed` and of the number of the step (see `zoo.randomness`).

    Example:
        >>> model = VAE(encoder, decoder, latent_dim=16)
        >>> model.compile(optimizer="adam")
        >>> model.fit(images, epochs=10)
        >>> loc, scale = model.encode(images)

    Args:
        encoder: any Keras model, images [batch, ...] → features [batch, ...]; the heads for loc and scale are ours.
        decoder: any Keras model, z [batch, latent_dim] → the likelihood's parameters [batch, ...].
        latent_dim: size of z.
        likelihood: `bernoulli` (the decoder gives logits), `gaussian` (means), `{"name": "gaussian", "variance":
            0.5}`, or a `Likelihood`.
        beta: β, the weight of the rate.
        warmup_steps: the rate's weight grows linearly from 0 to β over so many training steps.
        seed: of the noise; drawn from Keras's seed where it is not given.

    Raises:
        ValueError: a value out of range.
    """

    adds: tuple[str, ...] = ("distortion", "rate", "sum_of_squares")

    # Of a class that `zoo.combine` made.
    methods: tuple[str, ...] = ()

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Count,
        likelihood: str | dict | likelihoods.Likelihood = "bernoulli",
        beta: NonNegative = 1.0,
        warmup_steps: Size = 0,
        seed: Seed | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.likelihood = likelihoods.get(likelihood)
        self.beta = beta
        self.warmup_steps = warmup_steps
        self.seed = random.randrange(2**31) if seed is None else seed
        self.head = GaussianHead(latent_dim, name="posterior")

    def build(self, input_shape: tuple) -> None:
        """Creates all weights, given the images' shape (batch, h, w, c).

        Raises:
            ValueError: a decoder that takes another z, or gives other images.
        """
        self.image_shape = tuple(input_shape[1:])
        # Called on placeholders, and not built, as a network that is a subclass can only be called.
        self.head(self.encoder(keras.Input(self.image_shape)))
        wanted = getattr(self.decoder, "input_shape", None)
        if isinstance(wanted, tuple) and wanted[1:] != (self.latent_dim,):
            raise ValueError(f"VAE: latent_dim is {self.latent_dim}, but the decoder takes {times(wanted[1:])}")
        given = self.decoder(keras.Input((self.latent_dim,))).shape[1:]
        if not tf.TensorShape(given).is_compatible_with(self.image_shape):
            raise ValueError(f"VAE: the decoder gives {times(given)}, but the encoder takes {times(self.image_shape)}")
        self.built = True

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def infer(self, x: tf.Tensor, training: bool = False, stream: str = "posterior") -> Latents:
        """q(z|x), p(z) and a reparameterised sample.

        Args:
            x: images in the unit interval [batch, ...].
            training: passed to the encoder.
            stream: names the noise; two calls of one step that shall differ take two names.
        """
        features, early = self.features(x, training)
        latents = self.latents(features, training, stream)
        latents.features = early
        return latents

    def features(self, x: tf.Tensor, training: bool) -> tuple[tf.Tensor, Any]:
        """The encoder's output, and early features for a method that wants them too (else None)."""
        return self.encoder(x, training=training), None

    def latents(self, features: tf.Tensor, training: bool, stream: str) -> Latents:
        """q(z|x) from the encoder's output, p(z) and a reparameterised sample; see `infer`."""
        loc, scale = self.head(features)
        return Latents.standard(loc, scale, self.draws(training).normal(stream, tf.shape(loc)))

    def generate(self, z: tf.Tensor, training: bool = False) -> tfd.Distribution:
        """p(x|z) for z [..., latent_dim]; the distribution's batch shape is z's but for the last axis."""
        flat = self.decoder(tf.reshape(z, [-1, z.shape[-1]]), training=training)
        parameters = tf.reshape(flat, tf.concat([tf.shape(z)[:-1], tf.shape(flat)[1:]], 0))
        return self.likelihood.distribution(tf.cast(parameters, tf.float32), flat.shape.rank - 1)

    def elbo_terms(self, batch: Batch, latents: Latents, training: bool) -> dict[str, tf.Tensor]:
        """The terms of the bound on log p(x) for one view of the batch: each [batch].

        Distortion and rate; under a Gaussian likelihood also the sum of squares ‖x − mean‖² (no nats). Whoever needs
        the bound on another view (consistency does) calls this again.
        """
        reconstruction = self.generate(latents.sample(), training)
        terms = {"distortion": -reconstruction.log_prob(batch.x), **self.rate_terms(batch, latents, training)}
        if isinstance(self.likelihood, likelihoods.Gaussian):
            pixels = list(range(1, batch.x.shape.rank))
            terms["sum_of_squares"] = tf.reduce_sum(tf.square(batch.x - reconstruction.mean()), pixels)
        return terms

    def elbo_weights(self, training: bool = False) -> dict[str, Weight]:
        """Distortion 1 and those of `rate_weights`; the sum of squares is only reported."""
        weights: dict[str, Weight] = {"distortion": 1.0, **self.rate_weights(training)}
        if isinstance(self.likelihood, likelihoods.Gaussian):
            weights["sum_of_squares"] = 0.0
        return weights

    def rate_terms(self, batch: Batch, latents: Latents, training: bool) -> dict[str, tf.Tensor]:
        """The rate in closed form; a method that takes it apart adds its parts: each [batch]."""
        return {"rate": latents.rate()}

    def sampled_rate(self, batch: Batch, latents: Latents, z: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """What `rate_weights` weighs, at single samples z [samples, batch, dim] instead of on average over q(z|x).

        Returns:
            Each [samples, batch], in nats: for the plain VAE `rate`, log q(z|x) − log p(z).
        """
        return {"rate": latents.log_ratio(z)}

    def rate_weights(self, training: bool = False) -> dict[str, Weight]:
        """β for the rate, growing during warm-up."""
        return {"rate": self.beta and self.beta * self.warm_up(training)}

    def loss_terms(self, batch: Batch, latents: Latents, training: bool) -> dict[str, tf.Tensor]:
        """The bound's terms."""
        return self.elbo_terms(batch, latents, training)

    def loss_weights(self, training: bool = False) -> dict[str, Weight]:
        """The bound's weights."""
        return self.elbo_weights(training)

    def evaluation_priors(self, validation: Callable[[], Posterior] | None) -> dict[str, float]:
        """Priors N(0, v·I) against which an evaluation takes rate and ELBO too, beside N(0, I).

        Args:
            validation: computes the posteriors of the validation split; None where there is none to be had.

        Returns:
            v by a name for the prior; for the plain VAE nothing.
        """
        return {}

    # ── Round trips ──────────────────────────────────────────────────────────────────────────────────────────

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, networks included."""
        serialise = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            **({"methods": list(self.methods)} if self.methods else {}),
            "encoder": serialise(self.encoder),
            "decoder": serialise(self.decoder),
            "latent_dim": self.latent_dim,
            "likelihood": serialise(self.likelihood),
            "beta": self.beta,
            "warmup_steps": self.warmup_steps,
            "seed": self.seed,
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
