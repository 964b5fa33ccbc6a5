"""The variational auto-encoder (Kingma & Welling 2014), base of every method.

A method of the zoo is a subclass in a file of its own that overrides one or two of the hooks: `view`, `features`,
`posterior_of`, `generate`, `elbo_terms`, `rate_terms`, `loss_terms`, `players`, `after_step`. What users call on a
trained model (`encode`, `sample`, `log_prob`) is in `codec`, the training step in `step`, what is checked in `checks`.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from zoo import domains, likelihoods
from zoo.domains.domain import times
from zoo.latents import prior as priors
from zoo.latents.head import GaussianHead
from zoo.latents.posterior import Latents, Path, Posterior
from zoo.likelihoods import Conditional
from zoo.models import METHODS
from zoo.models.batch import Batch
from zoo.models.checks import check_features, check_networks
from zoo.models.codec import Codes
from zoo.models.objective import Term
from zoo.models.stored import Stored
from zoo.parameters import Seed, Size, Strength, Width, checked, hyperparameters, nearest
from zoo.training.live import Live


@keras.saving.register_keras_serializable("zoo")
class VAE(Stored):
    """The plain VAE, and with `beta` the β-VAE (Higgins et al. 2017).

    loss = distortion + β · rate, with distortion = −E_q log p(x|z) and rate = KL(q(z|x) ‖ p(z)), in nats, summed
    over dimensions and averaged over examples (weighted by `sample_weight` where it is given).

    Images come as integers (0 to 255, scaled inside the step), booleans, or floats; tables and series as numbers of any
    sign. Every random number of a step is a function of `seed` and of the number of the step (see `zoo.randomness`).

    Example:
        >>> model = VAE(encoder, decoder, latent_dim=16)
        >>> model.compile(optimizer="adam")
        >>> model.fit(images, epochs=10)
        >>> loc, scale = model.encode(images)

    Args:
        encoder: any Keras model, examples [batch, ...] → features [batch, ...]; the heads for loc and scale are ours.
        decoder: any Keras model, z [batch, latent_dim] → the likelihood's parameters [batch, ...]. One with two inputs,
            or with an attribute `autoregressive = True`, is autoregressive: it takes [z, x], and what it gives for an
            entry of x must not look at that entry or a later one.
        latent_dim: size of z.
        likelihood: `bernoulli` (the decoder gives logits), `gaussian` (means), `laplace`, `categorical`, `{"name":
            "gaussian", "variance": 0.5}`, or a `Likelihood`.
        beta: β, the weight of the rate: a number, or a schedule of the step (`zoo.training.schedules`).
        warmup_steps: the rate's weight grows linearly from 0 to β over so many training steps.
        seed: of the noise; drawn from Keras's seed where it is not given.
        prior: p(z): `standard_normal`, `{"name": "standard_normal", "variance": 4.0}`, or a `Prior`.
        domain: what x is: `images`, `features`, or a `Domain`; by default what the encoder's input makes likely.

    Raises:
        ValueError: a value out of range, or networks that are none.
    """

    adds: tuple[str, ...] = ("distortion", "rate")
    # The terms of the rate that are weighed; a method that takes it apart names its parts.
    rate_parts: tuple[str, ...] = ("rate",)
    fixed: tuple[str, ...] = ("encoder", "decoder", "latent_dim", "likelihood", "prior")

    beta = Live()

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        likelihood: str | dict | likelihoods.Likelihood = "bernoulli",
        beta: Strength = 1.0,
        warmup_steps: Size = 0,
        seed: Seed | None = None,
        prior: str | dict | priors.Prior = "standard_normal",
        domain: str | dict | domains.Domain | None = None,
        **kwargs: Any,
    ) -> None:
        for name in kwargs:
            if name not in ("name", "dtype", "trainable"):
                known = sorted(hyperparameters(type(self)))
                raise ValueError(f"{type(self).__name__}: no argument {name!r}; {nearest(name, known)}")
        super().__init__(**kwargs)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                raise ValueError(f"{name}: must be a Keras model, got {type(network).__name__}")
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.group_sizes = (latent_dim,)
        self.likelihood = likelihoods.get(likelihood)
        self.prior = priors.get(prior)
        self.beta = beta
        self.warmup_steps = warmup_steps
        self.seed = random.randrange(2**31) if seed is None else seed
        self.head = GaussianHead(latent_dim, name="posterior")
        self.autoregressive = len(getattr(decoder, "inputs", None) or []) == 2 or getattr(
            decoder, "autoregressive", False
        )
        # Past Keras's attribute tracking, for it is no layer.
        self.__dict__["domain"] = None if domain is None else domains.get(domain)

    def build(self, input_shape: tuple) -> None:
        """Creates all weights, given the examples' shape (batch, ...).

        Raises:
            ValueError: a decoder that takes another z, or gives other parameters than the likelihood needs; networks
                that the likelihood or the domain do not go with.
        """
        self.example_shape = tuple(input_shape[1:])
        self.__dict__["domain"] = self._domain_for(self.example_shape)
        # Called on placeholders, and not built, as a network that is a subclass can only be called.
        features = self.encoder(keras.Input(self.example_shape))
        check_features(type(self).__name__, features)
        self.domain.check_likelihood(self.likelihood)
        flat = type(self).posterior_of is VAE.posterior_of
        if flat:
            self.head(features)
        else:
            # Layers that only an overridden hook knows are built by being used, once, on nothing.
            nothing = tf.zeros([1, *(size or 1 for size in features.shape[1:])], features.dtype)
            self.posterior_of(nothing).sample(tf.zeros([1, self.latent_dim]))
        if not self.autoregressive:
            wanted = getattr(self.decoder, "input_shape", None)
            if isinstance(wanted, tuple) and wanted[1:] != (self.latent_dim,):
                raise ValueError(f"VAE: latent_dim is {self.latent_dim}, but the decoder takes {times(wanted[1:])}")
        inputs = [keras.Input((self.latent_dim,)), *([keras.Input(self.example_shape)] * self.autoregressive)]
        given = self.decoder(inputs if self.autoregressive else inputs[0]).shape[1:]
        needed = self.likelihood.parameter_shape(self.example_shape)
        if not tf.TensorShape(given).is_compatible_with(needed):
            name = type(self.likelihood).__name__
            raise ValueError(
                f"VAE: the decoder gives {times(given)}, but the encoder takes {times(self.example_shape)}, of which "
                f"the likelihood {name} needs {times(needed)}"
            )
        check_networks(type(self).__name__, self.encoder if flat else None, self.decoder, self.likelihood, self.domain)
        self.built = True

    def build_if_known(self) -> None:
        """Builds a model whose encoder knows its input."""
        shape = getattr(self.encoder, "input_shape", None)
        if not self.built and isinstance(shape, tuple):
            self.build(shape)

    def _domain_for(self, example_shape: Any) -> Any:
        return self.domain or domains.infer(tuple(example_shape), self.likelihood)

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def infer(self, batch: Batch) -> Latents:
        """q(z|x), p(z) and a reparameterised sample, whose noise bears the batch's stream as its name."""
        features, early = self.features(batch.x, batch.training)
        noise = batch.draws.normal(batch.stream, tf.stack([batch.size, self.latent_dim]))
        # A draw's static shape is unknown, and networks need theirs.
        return Latents(self.posterior_of(features), tf.ensure_shape(noise, [None, self.latent_dim]), early)

    def features(self, x: tf.Tensor, training: bool) -> tuple[tf.Tensor, Any]:
        """The encoder's output, and early features for a method that wants them too (else None)."""
        return self.run(self.encoder, x, training=training), None

    def posterior_of(self, features: tf.Tensor) -> Posterior:
        """q(z|x) from the encoder's output; a model of several latent groups gives a chain, and sets `group_sizes`."""
        loc, scale = self.head(features)
        return Posterior.flat(loc, scale, self.prior)

    def posterior(self, x: tf.Tensor, training: bool = False) -> Posterior:
        """q(z|x) of prepared examples [batch, ...]."""
        return self.posterior_of(self.features(x, training)[0])

    def generate(self, z: tf.Tensor, given: tf.Tensor | None = None, training: bool = False) -> Conditional:
        """p(x|z), and for an autoregressive decoder p(x|z, earlier entries of x).

        Args:
            z: [..., batch, latent_dim].
            given: prepared examples [batch, ...] that an autoregressive decoder is told; others ignore them. Without
                them it can be sampled only.
            training: passed to the decoder.
        """
        if not self.autoregressive:
            return Conditional(self.likelihood, self._parameters(z, None, training=training))
        if given is not None:
            return Conditional(self.likelihood, self._parameters(z, given, training=training))
        step = functools.partial(self._parameters, z, training=training)
        return Conditional(self.likelihood, None, step, tf.shape(z)[0], self.example_shape)

    def _parameters(self, z: tf.Tensor, given: tf.Tensor | None, *, training: bool) -> tf.Tensor:
        flat = tf.reshape(z, [-1, z.shape[-1]])
        if given is None:
            found = self.run(self.decoder, flat, training=training)
        else:
            # Each of the samples of an example is decoded beside the example.
            told = tf.broadcast_to(given, tf.concat([tf.shape(z)[:-1], tf.shape(given)[1:]], 0))
            told = tf.reshape(told, tf.concat([[-1], tf.shape(given)[1:]], 0))
            told = tf.ensure_shape(told, [None, *given.shape[1:]])
            found = self.run(self.decoder, flat, told, training=training)
        shape = tf.concat([tf.shape(z)[:-1], tf.shape(found)[1:]], 0)
        return tf.cast(tf.reshape(found, shape), tf.float32)

    def elbo_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """The terms of the bound on log p(x) for one view of the batch: distortion, rate, the likelihood's figures.

        Whoever needs the bound on another view (consistency does) calls this again.
        """
        reconstruction = self.generate(latents.z, batch.given, batch.training)
        figures = reconstruction.figures(batch.x, batch.mask)
        return {
            "distortion": Term(-reconstruction.log_prob(batch.x, batch.mask)),
            **self.rate_terms(batch, latents),
            **{name: Term(value, 0.0) for name, value in figures.items()},
        }

    def rate_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """The rate, weighted by β, which grows during warm-up; a method that takes it apart adds its parts."""
        return {"rate": Term(latents.rate(), self.beta * self.warm_up(batch.training))}

    def sampled_rate(self, batch: Batch, latents: Latents, path: Path) -> dict[str, Term]:
        """`rate_terms` at single samples instead of on average over q(z|x).

        Args:
            batch: the examples.
            latents: of the batch.
            path: samples [samples, batch, dim].

        Returns:
            Values [samples, batch]; for the plain VAE `rate`, log q(z|x) − log p(z).
        """
        return {"rate": Term(path.log_ratio(), self.beta * self.warm_up(batch.training))}

    def loss_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """The bound's terms."""
        return self.elbo_terms(batch, latents)

    def evaluation_priors(self, validation: Callable[[], Codes] | None) -> dict[str, float]:
        """Priors N(0, v·I) against which an evaluation takes rate and ELBO too, beside the model's own.

        Args:
            validation: computes the posteriors of the validation split; None where there is none to be had.

        Returns:
            v by a name for the prior; for the plain VAE nothing.
        """
        return {}

    @classmethod
    def has_plain_posterior(cls) -> bool:
        """Whether the posterior is that of the encoder and one head: no hook that finds it is overridden."""
        return cls.posterior is VAE.posterior and cls.posterior_of is VAE.posterior_of

    @classmethod
    def method_names(cls) -> list[str]:
        """The names of the model's methods; of one from outside the zoo the class's."""
        own = [name for name in METHODS if cls.__module__ == f"zoo.models.{name}"]
        return [name.rpartition(":")[2] for name in cls.methods] or own or [cls.__name__]

    @classmethod
    def methods_in_words(cls) -> str:
        """The names of the model's methods and, behind a colon, what they are, in a line."""
        names = cls.method_names()
        if names == [cls.__name__]:
            # From outside: what its author says of it.
            return f"{cls.__name__}: {(cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip('.')}"
        return f"{'+'.join(names)}: {'; '.join(METHODS[n].summary if n in METHODS else n for n in names)}"
