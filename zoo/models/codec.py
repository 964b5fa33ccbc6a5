"""What users call on a trained model: encode, decode, reconstruct, sample, and the likelihood of images."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from zoo.data.pixels import check_pixels, to_unit_interval
from zoo.likelihoods import Likelihood
from zoo.models.batch import images_of
from zoo.models.objective import ObjectiveModel
from zoo.randomness import normal_for_each


class Posterior(NamedTuple):
    """q(z|x) = N(loc, diag(scale²)), all latent groups flattened: two tensors [batch, dim]."""

    loc: tf.Tensor
    scale: tf.Tensor


def times(shape: Iterable[int | None]) -> str:
    """A shape as people write it: 28×28×1."""
    return "×".join(map(str, shape))


class Codec(ObjectiveModel):
    """A model that has been, or will be, trained, as a map from images to codes and back.

    Subclasses give `infer`, `generate` and `build`.
    """

    latent_dim: int
    image_shape: tuple
    likelihood: Likelihood

    def generate(self, z: tf.Tensor, training: bool = False) -> tfd.Distribution:
        """p(x|z) for z [..., latent_dim]."""
        raise NotImplementedError

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
            raise ValueError(f"decode: codes of shape {times(z.shape)}, but there are {self.latent_dim} latents")
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

    def log_likelihood(self, x: Any, z: tf.Tensor) -> tf.Tensor:
        """Log p(x|z) in nats of images [batch, h, w, c] under codes [..., batch, latent_dim]: [..., batch]."""
        return self.generate(z).log_prob(self._pixels(x, "log_likelihood"))

    def log_weights(self, x: Any, samples: int, seed: Any = 0) -> tf.Tensor:
        """Log p(x, z) − log q(z|x) for z ~ q(z|x), in nats: [samples, batch].

        Args:
            x: images.
            samples: of each image.
            seed: a whole number, or a key of two for each image [batch, 2], which alone decides on its noise.
        """
        x = self._pixels(x, "log_weights")
        latents = self.infer(x)
        z = latents.draw(normal_for_each(seed, tf.shape(x)[0], [samples, self.latent_dim]))
        return self.generate(z).log_prob(x) - latents.log_ratio(z)

    def log_prob(self, x: Any, samples: int = 500, seed: int = 0) -> tf.Tensor:
        """The importance-weighted estimate of log p(x) in nats: [batch] (Burda et al. 2016, Eq. 8).

        A lower bound in expectation, tighter with more samples. All samples of the batch are decoded at once; for
        many images use `zoo.metrics.negative_log_likelihood`, which bounds the memory.
        """
        if samples < 1:
            raise ValueError(f"log_prob: samples must be at least 1, got {samples}")
        return tf.reduce_logsumexp(self.log_weights(x, samples, seed), axis=0) - np.log(samples)

    # ── Checks ───────────────────────────────────────────────────────────────────────────────────────────────

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
            raise ValueError(f"{where}: images of {times(shape[1:])}, but the encoder takes {times(self.image_shape)}")

    def _pixels(self, x: Any, where: str) -> tf.Tensor:
        self.check_images(x, where)
        return to_unit_interval(tf.convert_to_tensor(images_of(x)))
