"""What users call on a trained model: encode, decode, reconstruct, sample, and the likelihood of examples."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from zoo.domains.domain import times
from zoo.latents.posterior import Posterior
from zoo.latents.prior import Prior, StandardNormal
from zoo.likelihoods import Conditional
from zoo.models.batch import examples_of
from zoo.models.checks import Checked
from zoo.models.encoder_model import EncoderModel, encoder_of
from zoo.randomness import Draws, normal_for_each

if TYPE_CHECKING:
    from zoo.export.card import Card


class Codes(NamedTuple):
    """q(z|x) = N(loc, diag(scale²)), all latent groups in one vector: two tensors [batch, dim]."""

    loc: tf.Tensor
    scale: tf.Tensor


class Codec(Checked):
    """A model that has been, or will be, trained, as a map from examples to codes and back.

    Subclasses give `posterior`, `generate` and `build`.
    """

    latent_dim: int
    prior: Prior
    group_sizes: tuple[int, ...]

    def posterior(self, x: tf.Tensor, training: bool = False) -> Posterior:
        """q(z|x) of prepared examples."""
        raise NotImplementedError

    def generate(self, z: tf.Tensor, given: tf.Tensor | None = None, training: bool = False) -> Conditional:
        """p(x|z) for z [..., latent_dim]."""
        raise NotImplementedError

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`reconstruct`, which makes it what `predict` returns."""
        return self.reconstruct(x)

    def encode(self, x: Any) -> Codes:
        """The posterior of each example: loc and scale, [batch, dim] each; of several groups along their means."""
        return self.codes_of(self._prepared(x, "encode"))

    def codes_of(self, x: tf.Tensor) -> Codes:
        """`encode` of prepared examples."""
        mean = self.posterior(x).mean()
        return Codes(mean.z, tf.concat([q.stddev() for q in mean.posteriors], axis=-1))

    def posteriors(self, x: np.ndarray, batch_size: int = 500) -> Codes:
        """`encode` for more examples than fit at once, compiled: NumPy arrays loc and scale, [n, dim] each.

        Args:
            x: examples [n, ...].
            batch_size: examples encoded at once.
        """
        self.check(x, "posteriors")
        kind = ("encode", x.shape[1:], x.dtype.name)
        if kind not in self.calls:
            signature = [tf.TensorSpec([None, *x.shape[1:]], x.dtype)]
            self.calls[kind] = tf.function(self.encode, input_signature=signature, autograph=False)
        parts = [self.calls[kind](tf.constant(x[i : i + batch_size])) for i in range(0, len(x), batch_size)]
        return Codes(*(np.concatenate([part[i] for part in parts]) for i in range(2)))

    def decode(self, z: Any, given: Any = None) -> tf.Tensor:
        """The mean of p(x|z): z [batch, dim] → prepared examples [batch, ...].

        Args:
            z: codes.
            given: prepared examples that an autoregressive decoder is told; without them it tells itself what it has
                generated so far, an entry a pass.
        """
        self.build_if_known()
        z = tf.convert_to_tensor(z, tf.float32)
        if z.shape[-1] != self.latent_dim:
            raise ValueError(f"decode: codes of shape {times(z.shape)}, but there are {self.latent_dim} latents")
        return self.generate(z, given).mean()

    def reconstruct(self, x: Any) -> tf.Tensor:
        """What the posterior's mean decodes to, [batch, ...]; an autoregressive decoder is told x."""
        return self.decode(self.encode(x).loc, self._prepared(x, "reconstruct") if self.autoregressive else None)

    def sample(self, n: int, seed: int | None = None, mean: bool = True) -> tf.Tensor:
        """N examples from prior samples: [n, ...]; the same for the same seed.

        Args:
            n: how many.
            seed: of the draws.
            mean: the means of p(x|z); False draws from it.
        """
        if isinstance(n, int) and n < 1:
            raise ValueError(f"sample: n must be at least 1, got {n}")
        seed = random.randrange(2**31) if seed is None else seed
        z = self.sample_codes(n, seed)
        if mean:
            return self.decode(z)
        self.build_if_known()
        return self.generate(z).sample(Draws(0, seed, "sample"), "x")

    @property
    def prior_variance(self) -> float | None:
        """V of a prior N(0, v·I), against which metrics set codes; None for other priors, and for several groups."""
        flat = isinstance(self.prior, StandardNormal) and len(self.group_sizes) == 1
        return self.prior.variance if flat else None

    def sample_codes(self, n: int, seed: int) -> tf.Tensor:
        """N codes from the prior, [n, latent_dim]; the same for the same seed."""
        return self.sample_prior(tf.random.stateless_normal([n, self.latent_dim], [seed, 0]))

    def sample_prior(self, noise: tf.Tensor) -> tf.Tensor:
        """Codes from the prior, by standard normal noise: both [..., latent_dim]."""
        return self.prior.sample(noise, self.group_sizes)

    def log_prior(self, z: tf.Tensor) -> tf.Tensor:
        """Log p(z) in nats: [..., latent_dim] → [...]."""
        return self.prior.log_prob(z, self.group_sizes)

    def log_likelihood(self, x: Any, z: tf.Tensor) -> tf.Tensor:
        """Log p(x|z) in nats of examples [batch, ...] under codes [..., batch, latent_dim]: [..., batch]."""
        x = self._prepared(x, "log_likelihood")
        return self.generate(z, x).log_prob(x, self.domain.mask(x))

    def log_weights(self, x: Any, samples: int, seed: Any = 0) -> tf.Tensor:
        """Log p(x, z) − log q(z|x) for z ~ q(z|x), in nats: [samples, batch].

        Args:
            x: examples.
            samples: of each example.
            seed: a whole number, or a key of two for each example [batch, 2], which alone decides on its noise.

        Raises:
            ValueError: a likelihood that is not normalised, under which nothing has a probability.
        """
        x = self._prepared(x, "log_weights")
        self._require_normalised("log_weights")
        path = self.posterior(x).sample(normal_for_each(seed, tf.shape(x)[0], [samples, self.latent_dim]))
        return self.generate(path.z, x).log_prob(x, self.domain.mask(x)) - path.log_ratio()

    def log_prob(self, x: Any, samples: int = 500, seed: int = 0) -> tf.Tensor:
        """The importance-weighted estimate of log p(x) in nats: [batch] (Burda et al. 2016, Eq. 8).

        A lower bound in expectation, tighter with more samples. All samples of the batch are decoded at once; for
        many examples use `zoo.metrics.negative_log_likelihood`, which bounds the memory. Raises as `log_weights`.
        """
        if samples < 1:
            raise ValueError(f"log_prob: samples must be at least 1, got {samples}")
        self.check(x, "log_prob")
        return tf.reduce_logsumexp(self.log_weights(x, samples, seed), axis=0) - np.log(samples)

    # ── For use elsewhere ────────────────────────────────────────────────────────────────────────────────────

    def encoder_model(self, output: Literal["loc"] | None = None) -> EncoderModel:
        """The encoder with head and preparation as a Keras model: raw examples → `{"loc": …, "scale": …}`.

        Its layers are this model's own: what trains it moves this model too. A saved and loaded one is independent.

        Example:
            >>> classifier = keras.Sequential([keras.Input((28, 28, 1), dtype="uint8"), model.encoder_model("loc"),
            ...                                keras.layers.Dense(10)])

        Args:
            output: `loc` gives the means alone, one tensor, as a `keras.Sequential` needs it.

        Raises:
            ValueError: another output, a model that is not built, or one whose posterior is not a single head on the
                encoder's features.
        """
        self.build_if_known()
        return encoder_of(self, output)

    def export(self, filepath: str | Path, format: str = "tf_saved_model", card: Card | None = None) -> None:
        """Writes a SavedModel that TensorFlow alone can load, with its card, as `zoo export` does.

        Args:
            filepath: of the directory; an export that is there is replaced.
            format: `tf_saved_model`.
            card: what is said of it; by default what the model knows of itself.

        Raises:
            ValueError: another format, or as `zoo.export.saved_model.export_model`.
        """
        from zoo.export.saved_model import export_model

        if format != "tf_saved_model":
            raise ValueError(
                f"export: format must be 'tf_saved_model', got {format!r}; for others there is "
                f"model.encoder_model().export(…, format={format!r})"
            )
        export_model(self, Path(filepath), card)

    def _require_normalised(self, where: str) -> None:
        if not self.likelihood.normalised:
            name = type(self.likelihood).__name__
            raise ValueError(f"{where}: the likelihood {name} is not normalised, so there is no log p(x)")

    def _prepared(self, x: Any, where: str) -> tf.Tensor:
        self.check(x, where)
        return self.domain.prepare(tf.convert_to_tensor(examples_of(x)))
