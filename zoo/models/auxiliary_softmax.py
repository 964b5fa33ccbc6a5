"""VAE-AS of Li (2019), “Improve Variational Autoencoder with Auxiliary Softmax Multiclassifier”."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import keras
import tensorflow as tf
from keras import layers

from zoo.data.indexing import check_index
from zoo.latents.posterior import Latents, Path
from zoo.models.batch import Batch, examples_of, split_index
from zoo.models.labels import ExampleLabels
from zoo.models.objective import Term
from zoo.models.vae import VAE
from zoo.parameters import Count, Counts, Depth, Strength, Width, checked
from zoo.training.live import Live

_HOW = "each image's number in the training set: fit({'x': x, 'index': i}), or zoo.data.with_index(x)"


@keras.saving.register_keras_serializable("zoo")
class AuxiliarySoftmaxVAE(VAE):
    """The VAE whose rate is taken apart, by a classifier that must tell from z which example it came from.

    loss = distortion + α · MI + β · MD + cross-entropy of the classifier s(e|z)   (paper: Eqs. 3 and 8)
    MI = log V − H(s(·|z))                                                         (paper: Eq. 5)
    MD = log q(z|x) − log N − log s(e|z) − log p(z)                                (paper: Eq. 10)

    MI is the mutual information of example and code, MD the divergence KL(q(z) ‖ p(z)) of the aggregated posterior from
    the prior; both are means over samples z ~ q(z|x), in nats. e is the label of x, one of V. With `information=
    "cross_entropy"` MI is log V + log s(e|z), and MI + MD + log(N/V) the Monte-Carlo rate, whatever the classifier;
    with the entropy that holds on average, and for a classifier that has learnt q(e|z). With a label for each example,
    V = N, both are estimates of the quantities themselves. With V < N, MI is that of label and code: it bounds the one
    of example and code from below, and never exceeds log V. MD is then right where the posteriors of a label's examples
    do not overlap, and elsewhere too low, by at most log(N/V).

    As long as the switches are off, the cross-entropy trains the classifier alone, its z held constant, and the encoder
    feels MI and MD through the classifier, whose weights are held constant there. α = β = b is a β-VAE with b for its
    β, whose rate is estimated; `rate` is the rate in closed form, and is only reported.

    The classifier must know each example's number in the training set: `fit({"x": x, "index": i})`, see
    `zoo.data.with_index`. Held-out examples have none; without it evaluation has no cross-entropy, MI is taken from
    the entropy, and MD is what MI leaves of the Monte-Carlo rate.

    The labels make it dear. One label for each of MNIST's 60,000 examples means a last layer of 500 · 60,000 = 30
    million weights, where encoder and decoder of the paper's networks have 2 million together: the classifier is then
    most of the step, and of the memory. `label_dimensions=[245, 245]` gives each example a pair of labels, since
    245 · 245 = 60,025, from a layer of 500 · 490 = 245,000 weights. Given z the two count as independent, so MI can
    only come out lower than with labels of one dimension. `labels` saves by having fewer, which caps MI at their log.

    Example:
        >>> model = AuxiliarySoftmaxVAE(encoder, decoder, latent_dim=40, examples=len(x), label_dimensions=2, alpha=0.5)
        >>> model.compile("adam")
        >>> model.fit(zoo.data.with_index(x), epochs=10)

    Args:
        encoder: as in `VAE`.
        decoder: as in `VAE`.
        latent_dim: as in `VAE`.
        examples: N, the size of the training set.
        alpha: α, the weight of MI; it grows during warm-up, as β does. β, the weight of MD, is `VAE`'s `beta`.
        labels: V; by default N, a label of its own for each example. Fewer are dealt out at random, each to as many
            examples as any other, but for one.
        label_dimensions: sizes of the label's dimensions, whose product is at least V; or a number of dimensions, of
            equal size; one by default. Labels are dealt out at random here too, by `seed`.
        information: the form of MI, see above.
        cross_entropy_trains_encoder: let the cross-entropy's gradient through z to the encoder too.
        information_trains_classifier: let the gradient of MI and MD to the classifier's weights too.
        classifier_depth: hidden layers of the classifier.
        classifier_width: units of a hidden layer.
        classifier: in place of these layers, any Keras model, z [batch, latent_dim] → features [batch, ...]; the last
            layer, which gives the labels' logits, is ours.
        **kwargs: those of `VAE`.

    Raises:
        ValueError: a value out of range, more labels than examples, label dimensions that make fewer labels than asked
            for, a classifier that takes another z; in `fit`, images without numbers, numbers out of range, or, where
            each example has a label of its own, repeated ones.
    """

    adds: tuple[str, ...] = ("softmax_information", "softmax_marginal_kl", "softmax_rate", "cross_entropy")
    rate_parts: tuple[str, ...] = ("softmax_information", "softmax_marginal_kl")
    fixed: tuple[str, ...] = ("examples", "labels", "label_dimensions", "classifier_depth", "classifier_width", "seed")
    needs_index = True
    takes_index = True
    alpha = Live()

    @checked
    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: Width,
        *,
        examples: Count,
        alpha: Strength = 1.0,
        labels: Count | None = None,
        label_dimensions: Counts | None = None,
        information: Literal["entropy", "cross_entropy"] = "entropy",
        cross_entropy_trains_encoder: bool = False,
        information_trains_classifier: bool = False,
        classifier_depth: Depth = 2,
        classifier_width: Width = 500,
        classifier: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.examples = examples
        self.alpha = alpha
        self.labels = labels
        self.label_dimensions = label_dimensions
        self.information = information
        self.cross_entropy_trains_encoder = cross_entropy_trains_encoder
        self.information_trains_classifier = information_trains_classifier
        self.classifier_depth = classifier_depth
        self.classifier_width = classifier_width
        try:
            self.example_labels = ExampleLabels(examples, labels, label_dimensions, self.seed)
        except ValueError as error:
            raise ValueError(f"AuxiliarySoftmaxVAE: {error}") from None
        # Past Keras's attribute tracking, which would find its layers twice.
        self.__dict__["given_classifier"] = classifier
        self.classifier = self._classifier(classifier)

    def _classifier(self, given: keras.Model | None) -> keras.Model:
        """Z → the logits of all label dimensions, one after the other."""
        wanted = getattr(given, "input_shape", None)
        if isinstance(wanted, tuple) and wanted[1:] != (self.latent_dim,):
            takes = "×".join(map(str, wanted[1:]))
            raise ValueError(f"AuxiliarySoftmaxVAE: classifier: takes {takes}, but latent_dim is {self.latent_dim}")
        features = z = keras.Input((self.latent_dim,), name="z")
        if given is None:
            for _ in range(self.classifier_depth):
                features = layers.Dense(self.classifier_width, activation="relu")(features)
        else:
            features = layers.Flatten()(given(z))
        # Float32 also under mixed precision, as the posterior's parameters.
        logits = layers.Dense(sum(self.example_labels.sizes), dtype="float32", name="label_logits")(features)
        return keras.Model(z, logits, name="classifier")

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def rate_terms(self, batch: Batch, latents: Latents) -> dict[str, Term]:
        """α for MI and β for MD in place of β for the rate; the classifier's cross-entropy where numbers are known."""
        labels, z = self._labels(batch), latents.z
        # Read once, so that the graph's optimiser sees that both calls of the classifier compute the same, and
        # computes it once: they differ in their gradients only.
        weights = self._weights()
        logits, _ = self._logits(z, self._held(weights), batch.training)
        parts = self._parts(logits, labels, latents.path.log_ratio(), batch)
        terms = {**super().rate_terms(batch, latents), **parts}
        terms["rate"] = terms["rate"].reported()
        if labels is not None:
            given = z if self.cross_entropy_trains_encoder else tf.stop_gradient(z)
            logits, state = self._logits(given, weights, batch.training)
            terms["cross_entropy"] = Term(-self.example_labels.log_probability(logits, labels))
            if batch.training:
                for variable, value in zip(self.classifier.non_trainable_variables, state, strict=True):
                    variable.assign(value)
        return terms

    def sampled_rate(self, batch: Batch, latents: Latents, path: Path) -> dict[str, Term]:
        """MI and MD at each sample, in place of the rate."""
        logits, _ = self._logits(path.z, self._held(self._weights()), batch.training)
        found = super().sampled_rate(batch, latents, path)
        found["rate"] = found["rate"].reported()
        return {**found, **self._parts(logits, self._labels(batch), path.log_ratio(), batch)}

    # ── The classifier ───────────────────────────────────────────────────────────────────────────────────────

    def _weights(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(weight) for weight in self.classifier.trainable_variables]

    def _held(self, weights: list[tf.Tensor]) -> list[tf.Tensor]:
        """The weights that MI and MD are computed with: without a way back to the variables, unless switched on."""
        return weights if self.information_trains_classifier else [tf.stop_gradient(weight) for weight in weights]

    def _logits(self, z: tf.Tensor, weights: list[tf.Tensor], training: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Codes [..., dim] → (logits [..., sum of label sizes], what the classifier's other variables become)."""
        state = [tf.convert_to_tensor(variable) for variable in self.classifier.non_trainable_variables]
        flat = tf.reshape(z, [-1, self.latent_dim])
        logits, state = self.classifier.stateless_call(weights, state, flat, training=training)
        return tf.reshape(logits, tf.concat([tf.shape(z)[:-1], tf.shape(logits)[1:]], 0)), state

    def _labels(self, batch: Batch) -> tf.Tensor | None:
        if batch.training and batch.index is None:
            raise ValueError(f"AuxiliarySoftmaxVAE: index: missing; training needs {_HOW}")
        return None if batch.index is None else self.example_labels.of(batch.index)

    def _parts(
        self, logits: tf.Tensor, labels: tf.Tensor | None, log_ratio: tf.Tensor, batch: Batch
    ) -> dict[str, Term]:
        """MI, MD and their sum with their weights, given log q(z|x) − log p(z): values [...]."""
        log_count = math.log(self.example_labels.count)
        by_entropy = log_count - self.example_labels.entropy(logits)
        # log q(z|x) − log q(z), as the classifier has it.
        pointwise = by_entropy if labels is None else log_count + self.example_labels.log_probability(logits, labels)
        information = by_entropy if self.information == "entropy" else pointwise
        # Eq. 10 takes log N from log q(z|x), of which `pointwise` holds log V.
        marginal = log_ratio - pointwise - math.log(self.examples / self.example_labels.count)
        warm_up = self.warm_up(batch.training)
        return {
            "softmax_information": Term(information, self.alpha * warm_up),
            "softmax_marginal_kl": Term(marginal, self.beta * warm_up),
            "softmax_rate": Term(information + marginal, 0.0),
        }

    # ── Checks and round trips ───────────────────────────────────────────────────────────────────────────────

    def check(self, x: Any, where: str) -> None:
        """As in `VAE`; also arrays of numbers that are not one for each image, or out of range."""
        super().check(x, where)
        self._check_numbers(x, False, where)

    def check_index(self, x: Any) -> None:
        """As in `VAE`; also arrays that repeat a number where each example has a label of its own."""
        super().check_index(x)
        self._check_numbers(x, self.example_labels.count == self.examples, "fit")

    def _check_numbers(self, x: Any, unique: bool, where: str) -> None:
        # Of placeholders nothing but the shape is known.
        if isinstance(x, dict) and hasattr(examples_of(x), "__array__"):
            index = split_index(x)[1]
            check_index(index, len(examples_of(x)), self.examples, unique=unique, where=where)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, the classifier included where it was given."""
        sizes, given = self.label_dimensions, self.__dict__["given_classifier"]
        return {
            **super().get_config(),
            "label_dimensions": sizes if sizes is None or isinstance(sizes, int) else list(sizes),
            "classifier": given and keras.saving.serialize_keras_object(given),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Self:
        """Rebuilds the model, its classifier included, from `get_config`."""
        given = config["classifier"]
        if given is not None:
            given = keras.saving.deserialize_keras_object(given, custom_objects=custom_objects)
        return super().from_config({**config, "classifier": given}, custom_objects)
