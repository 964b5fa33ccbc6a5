"""The variational auto-encoder (Kingma & Welling 2014), base of every method.

A method of the zoo is a subclass in a file of its own that overrides one or two of the hooks: `view`, `infer`,
`generate`, `loss_terms`, `loss_weights`, `after_step`. The training step is `zoo.models.step`'s.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo import likelihoods
from zoo.data.pixels import check_pixels, to_unit_interval
from zoo.latents import Latents
from zoo.models.batch import Batch, images_of
from zoo.models.step import ObjectiveModel, Weight
from zoo.networks.posterior import GaussianHead
from zoo.parameters import Count, NonNegative, Seed, Size, checked
from zoo.randomness import normal_for_each


class Posterior(NamedTuple):
    """q(z|x) = N(loc, diag(scale²)), all latent groups flattened: two tensors [batch, dim]."""

    loc: tf.Tensor
    scale: tf.Tensor


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


def _times(shape: Iterable[int | None]) -> str:
    return "×".join(map(str, shape))


@keras.saving.register_keras_serializable("zoo")
class VAE(ObjectiveModel, metaclass=_BuiltWhenConstructed):
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
            raise ValueError(f"VAE: latent_dim is {self.latent_dim}, but the decoder takes {_times(wanted[1:])}")
        given = self.decoder(keras.Input((self.latent_dim,))).shape[1:]
        if not tf.TensorShape(given).is_compatible_with(self.image_shape):
            raise ValueError(
                f"VAE: the decoder gives {_times(given)}, but the encoder takes {_times(self.image_shape)}"
            )
        self.built = True

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def infer(self, x: tf.Tensor, training: bool = False, stream: str = "posterior") -> Latents:
        """q(z|x), p(z) and a reparameterised sample.

        Args:
            x: images in the unit interval [batch, ...].
            training: passed to the encoder.
            stream: names the noise; two calls of one step that shall differ take two names.
        """
        return self.latents(self.encoder(x, training=training), training, stream)

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

    # ── What users call ──────────────────────────────────────────────────────────────────────────────────────

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`reconstruct`, which makes it what `predict` returns."""
        return self.reconstruct(x)

    def encode(self, x: Any) -> Posterior:
        """The posterior of each image: loc and scale, [batch, dim] each."""
        latents = self.infer(self._pixels(x, "encode"))
        return Posterior(latents.code(), latents.scale())

    def posteriors(self, images: np.ndarray, batch_size: int = 500) -> Posterior:
        """`encode` for more images than fit at once, compiled: NumPy arrays loc and scale, [n, dim] each.

        Args:
            images: [n, h, w, c].
            batch_size: images encoded at once.
        """
        self.check_images(images, "posteriors")
        kind = (images.shape[1:], images.dtype.name)
        compiled = self.__dict__.setdefault("_compiled_encode", {})
        if kind not in compiled:
            signature = [tf.TensorSpec([None, *images.shape[1:]], images.dtype)]
            compiled[kind] = tf.function(self.encode, input_signature=signature, autograph=False)
        parts = [compiled[kind](tf.constant(images[i : i + batch_size])) for i in range(0, len(images), batch_size)]
        return Posterior(*(np.concatenate([part[i] for part in parts]) for i in range(2)))

    def decode(self, z: Any) -> tf.Tensor:
        """The mean of p(x|z): z [batch, dim] → images in the unit interval [batch, h, w, c]."""
        z = tf.convert_to_tensor(z, tf.float32)
        if z.shape[-1] != self.latent_dim:
            raise ValueError(f"decode: codes of shape {_times(z.shape)}, but there are {self.latent_dim} latents")
        return self.generate(z).mean()

    def reconstruct(self, x: Any) -> tf.Tensor:
        """The image that the posterior's mean decodes to: [batch, h, w, c]."""
        return self.decode(self.encode(x).loc)

    def sample(self, n: int, seed: int | None = None) -> tf.Tensor:
        """N images (means of p(x|z)) from prior samples: [n, h, w, c]; the same for the same seed."""
        if isinstance(n, int) and n < 1:
            raise ValueError(f"sample: n must be at least 1, got {n}")
        seed = random.randrange(2**31) if seed is None else seed
        return self.decode(tf.random.stateless_normal([n, self.latent_dim], [seed, 0]))

    def log_weights(self, x: Any, samples: int, seed: Any = 0) -> tf.Tensor:
        """Log p(x, z) − log q(z|x) for z ~ q(z|x), in nats: [samples, batch].

        Args:
            x: images.
            samples: of each image.
            seed: a whole number, or a key of two for each image [batch, 2], which alone decides on its noise.
        """
        x = self._pixels(x, "log_weights")
        group = self.infer(x).groups[0]
        loc = group.posterior.mean()
        z = loc + group.posterior.stddev() * normal_for_each(seed, tf.shape(loc)[0], [samples, self.latent_dim])
        return self.generate(z).log_prob(x) + group.prior.log_prob(z) - group.posterior.log_prob(z)

    def log_prob(self, x: Any, samples: int = 500, seed: int = 0) -> tf.Tensor:
        """The importance-weighted estimate of log p(x) in nats: [batch] (Burda et al. 2016, Eq. 8).

        A lower bound in expectation, tighter with more samples. All samples of the batch are decoded at once; for
        many images use `zoo.metrics.negative_log_likelihood`, which bounds the memory.
        """
        if samples < 1:
            raise ValueError(f"log_prob: samples must be at least 1, got {samples}")
        return tf.reduce_logsumexp(self.log_weights(x, samples, seed), axis=0) - np.log(samples)

    # ── Checks and round trips ───────────────────────────────────────────────────────────────────────────────

    def check_images(self, x: Any, where: str) -> None:
        """As the base class."""
        x = images_of(x)
        if tf.is_tensor(x) and hasattr(x, "numpy"):
            x = x.numpy()
        if isinstance(x, np.ndarray):
            check_pixels(x, where=where, unit_interval=self.likelihood.unit_interval)
        shape = tf.TensorShape(getattr(x, "shape", None))
        if not shape.rank:
            return
        if not self.built:
            with self.distribute_strategy.scope():
                self.build((None, *shape[1:]))
        if not shape[1:].is_compatible_with(self.image_shape):
            raise ValueError(
                f"{where}: images of {_times(shape[1:])}, but the encoder takes {_times(self.image_shape)}"
            )

    def _pixels(self, x: Any, where: str) -> tf.Tensor:
        self.check_images(x, where)
        return to_unit_interval(tf.convert_to_tensor(x))

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
