"""p(z): the zoo's own priors, a mixture as a user writes it, and two groups, against closed forms and integrals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats
from tensorflow_probability import distributions as tfd

import zoo
from zoo.latents import prior as priors
from zoo.latents.posterior import Latents, Posterior
from zoo.latents.prior import Prior, StandardNormal
from zoo.networks import build

SHAPE, LATENTS = (4, 3, 1), 2


@keras.saving.register_keras_serializable("tests")
class Mixture(Prior):
    """Two spherical Gaussians at ±distance: no KL divergence in closed form."""

    def __init__(self, distance=1.5, scale=0.6, share=0.3, **kwargs):
        super().__init__(**kwargs)
        self.distance, self.spread, self.share = distance, scale, share

    def conditional(self, group, above, size):
        loc = tf.stack([-self.distance * tf.ones([size]), self.distance * tf.ones([size])])
        parts = tfd.MultivariateNormalDiag(loc, self.spread * tf.ones([2, size]))
        return tfd.MixtureSameFamily(tfd.Categorical(probs=[self.share, 1 - self.share]), parts)

    def sample(self, noise, sizes=None):
        """The first coordinate's noise also chooses the part, and is used up by it."""
        quantile = tfd.Normal(0.0, 1.0).cdf(noise[..., :1])
        left = quantile < self.share
        rest = tf.where(left, quantile / self.share, (quantile - self.share) / (1 - self.share))
        first = tfd.Normal(0.0, 1.0).quantile(tf.clip_by_value(rest, 1e-6, 1 - 1e-6))
        centre = tf.where(left, -self.distance, self.distance)
        return centre + self.spread * tf.concat([first, noise[..., 1:]], axis=-1)

    def get_config(self):
        return {**super().get_config(), "distance": self.distance, "scale": self.spread, "share": self.share}


def make(method=zoo.VAE, **arguments):
    keras.utils.set_random_seed(0)
    model = method(*build("mlp", SHAPE, LATENTS, depth=1, width=8), LATENTS, **{"seed": 0, **arguments})
    model.compile(keras.optimizers.SGD(0.01))
    return model


def images(n=8):
    return np.random.default_rng(0).random((n, *SHAPE)).astype("float32")


def densities(z, mixture):
    """Density of the mixture at z [..., size], by SciPy."""
    parts = [stats.norm(side * mixture.distance, mixture.spread).pdf(z).prod(-1) for side in (-1, 1)]
    return mixture.share * parts[0] + (1 - mixture.share) * parts[1]


def exact_rate(loc, scale, mixture):
    """KL(N(loc, scale²) ‖ mixture) of a two-dimensional Gaussian, by integration."""
    q = stats.norm(loc, scale)
    a, b = np.linspace(loc - 8 * scale, loc + 8 * scale, 401).T
    z = np.stack(np.meshgrid(a, b, indexing="ij"), -1)
    values = q.pdf(z).prod(-1) * (q.logpdf(z).sum(-1) - np.log(densities(z, mixture)))
    return integrate.simpson(integrate.simpson(values, x=b), x=a)


# ── The standard normal, and wider ones ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("variance", [1.0, 0.25, 9.0])
def test_the_rate_under_a_variance_is_tfps(variance):
    model, x = make(prior={"name": "standard_normal", "variance": variance}, beta=2.0), images()
    loc, scale = model.encode(x)
    p = tfd.MultivariateNormalDiag(tf.zeros(LATENTS), variance**0.5 * tf.ones(LATENTS))
    expected = tfd.kl_divergence(tfd.MultivariateNormalDiag(loc, scale), p)
    terms = model.objective(x, training=False)
    np.testing.assert_allclose(terms["rate"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + 2 * terms["rate"], rtol=1e-6)
    z = tf.random.stateless_normal([3, 8, LATENTS], [0, 0])
    np.testing.assert_allclose(model.log_prior(z), p.log_prob(z), rtol=1e-5)
    np.testing.assert_allclose(model.sample_prior(z), variance**0.5 * z, rtol=1e-6)
    found = make(prior=StandardNormal(variance)).objective(x, training=False)
    np.testing.assert_array_equal(found["rate"], terms["rate"])


def test_importance_weights_take_the_models_prior():
    x = images()
    wide, standard = (make(prior={"name": "standard_normal", "variance": v}) for v in (4.0, 1.0))
    for mine, theirs in zip(wide.trainable_variables, standard.trainable_variables, strict=True):
        mine.assign(theirs)
    path = wide.posterior(x).sample(tf.random.stateless_normal([5, 8, LATENTS], [0, 0]))
    difference = stats.norm(0, 2).logpdf(path.z).sum(-1) - stats.norm.logpdf(path.z).sum(-1)
    np.testing.assert_allclose(wide.log_prior(path.z) - standard.log_prior(path.z), difference, rtol=1e-4)
    # The same noise, so the same codes: log p(x, z) / q(z|x) differ by the priors' ratio alone.
    keys = tf.zeros([8, 2], tf.int32)
    weights = [model.log_weights(x, 5, keys).numpy() for model in (wide, standard)]
    codes = [model.posterior(x).sample(_noise(keys, 5)).z.numpy() for model in (wide, standard)]
    np.testing.assert_array_equal(*codes)
    ratio = stats.norm(0, 2).logpdf(codes[0]).sum(-1) - stats.norm.logpdf(codes[0]).sum(-1)
    np.testing.assert_allclose(weights[0] - weights[1], ratio, rtol=1e-3, atol=1e-5)


def _noise(keys, samples):
    from zoo.randomness import normal_for_each

    return normal_for_each(keys, 8, [samples, LATENTS])


def test_another_prior_for_the_same_latents():
    model = make()
    latents = model.infer(model.batch(images(), training=False))
    wide = StandardNormal(9.0)
    p = tfd.MultivariateNormalDiag(tf.zeros(LATENTS), 3 * tf.ones(LATENTS))
    expected = tfd.kl_divergence(tfd.MultivariateNormalDiag(latents.code(), latents.scale()), p)
    np.testing.assert_allclose(latents.rate(wide), expected, rtol=1e-5)
    np.testing.assert_allclose(latents.rate(StandardNormal().widened(3.0)), expected, rtol=1e-5)
    np.testing.assert_allclose(latents.rate(), make().objective(images(), training=False)["rate"], rtol=1e-6)


# ── A mixture ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rate_under_a_mixture_is_the_integral_on_average():
    mixture, n = Mixture(), 20_000
    for loc, scale in (([0.3, -0.5], [0.7, 0.4]), ([1.4, 1.6], [0.5, 0.6])):
        posterior = Posterior.flat(tf.tile([loc], [n, 1]), tf.tile([scale], [n, 1]), mixture)
        latents = Latents(posterior, tf.random.stateless_normal([n, 2], [1, 2]))
        rates = latents.rate().numpy()
        # At each sample the log-ratio, whose mean is the divergence.
        z = latents.z.numpy().astype("float64")
        ratio = stats.norm(loc, scale).logpdf(z).sum(-1) - np.log(densities(z, mixture))
        np.testing.assert_allclose(rates, ratio, rtol=1e-3, atol=1e-4)
        exact = exact_rate(np.array(loc), np.array(scale), mixture)
        assert rates.mean() == pytest.approx(exact, abs=4 * float(rates.std()) / n**0.5 + 1e-3)
        (group,) = latents.path.rate_per_group()
        assert group.shape == (n, 1)


@pytest.mark.parametrize("method", [zoo.VAE, zoo.IWAE, zoo.ConsistencyVAE, zoo.TripletVAE])
@pytest.mark.slow
def test_methods_train_under_a_mixture(method):
    model, x = make(method, prior=Mixture(), beta=0.5), images()
    latents = model.infer(model.batch(x, training=False))
    ratio = latents.path.log_posterior() - np.log(densities(latents.z.numpy(), model.prior))
    np.testing.assert_allclose(model.objective(x, training=False)["rate"], ratio, rtol=1e-4, atol=1e-5)
    assert np.isfinite(list(model.fit(x, batch_size=4, epochs=2, verbose=0).history.values())).all()


def test_the_likelihood_under_a_mixture_is_the_integral():
    """log p(x) = log ∫ p(x|z) p(z) dz on a grid, which many importance samples approach."""
    model, x = make(prior=Mixture()), np.round(images(3))
    # A posterior as wide as the prior, so that importance samples reach both of its parts.
    model.head.set_weights([0 * w for w in model.head.get_weights()])
    model.head.scale.bias.assign([2.0, 2.0])
    line = np.linspace(-5, 5, 201)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2).astype("float32")
    log_p_z = np.log(densities(grid.astype("float64"), model.prior))
    z = tf.tile(grid[:, None], [1, 3, 1])
    joint = model.log_likelihood(x, z).numpy() + log_p_z[:, None]
    exact = np.log(np.exp(joint).sum(0) * (line[1] - line[0]) ** 2)
    np.testing.assert_allclose(model.log_prob(x, samples=20_000), exact, atol=0.03)


def test_a_mixtures_samples_are_its_own():
    model = make(prior=Mixture())
    drawn = model.sample_prior(tf.random.stateless_normal([20_000, LATENTS], [0, 3])).numpy()
    right = drawn.sum(-1) > 0
    assert right.mean() == pytest.approx(0.7, abs=0.02)
    for side, chosen in ((1, right), (-1, ~right)):
        np.testing.assert_allclose(drawn[chosen].mean(0), side * 1.5, atol=0.03)
        np.testing.assert_allclose(drawn[chosen].std(0), 0.6, atol=0.03)
    assert model.sample(3, seed=0).shape == (3, *SHAPE)


def test_a_prior_without_samples_says_so():
    class Silent(Mixture):
        sample = Prior.sample

    for call in (lambda: make(prior=Silent()).sample(2), lambda: Silent().widened(2.0).conditional(0, None, 2)):
        with pytest.raises(ValueError, match="Silent: ") as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("prior", [StandardNormal(4.0), Mixture(2.0, 0.5, 0.4)])
@pytest.mark.slow
def test_priors_round_trip(prior, tmp_path):
    model, x = make(prior=prior), images()
    model.fit(x, verbose=0)
    model.save(tmp_path / "m.keras")
    for copy in (keras.saving.load_model(tmp_path / "m.keras"), zoo.VAE.from_config(model.get_config())):
        assert type(copy.prior) is type(prior) and copy.prior.get_config() == prior.get_config()
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        loaded.objective(x, training=False)["rate"], model.objective(x, training=False)["rate"], rtol=1e-6
    )


# ── A trained prior, and groups ──────────────────────────────────────────────────────────────────────────────────


@keras.saving.register_keras_serializable("tests")
class Learned(Prior):
    """N(0, exp(2w)) with a weight w of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.w = self.add_weight(shape=(), initializer="zeros", name="w")
        self.built = True

    def conditional(self, group, above, size):
        return tfd.Normal(tf.zeros([size]), tf.exp(tf.convert_to_tensor(self.w)) * tf.ones([size]))


def test_a_priors_own_weights_are_trained(tmp_path):
    """The rate alone is least where the variance is the aggregate posterior's second moment."""
    model, x = make(prior=Learned()), images(64)
    model.encoder.trainable = model.decoder.trainable = model.head.trainable = False
    assert [v.path.split("/")[-1] for v in model.trainable_variables] == ["w"]
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(tf.data.Dataset.from_tensors(x).repeat(300), verbose=0)
    loc, scale = model.encode(x)
    best = np.mean(np.square(loc) + np.square(scale))
    assert float(tf.exp(2 * model.prior.w)) == pytest.approx(best, rel=0.01)
    model.save(tmp_path / "m.keras")
    assert float(keras.saving.load_model(tmp_path / "m.keras").prior.w) == float(model.prior.w)


class Chain(Prior):
    """z1 ~ N(0, 1); z2 given z1 ~ N(0.9 z1, 0.5²)."""

    def conditional(self, group, above, size):
        loc = tf.zeros([size]) if above is None else 0.9 * above
        return tfd.Normal(loc, (0.5 if group else 1.0) * tf.ones_like(loc))


def test_two_groups_are_their_joint_gaussian():
    prior = Chain()
    joint = stats.multivariate_normal([0, 0], [[1, 0.9], [0.9, 0.81 + 0.25]])
    z = np.random.default_rng(0).normal(size=(7, 5, 2)).astype("float32")
    np.testing.assert_allclose(prior.log_prob(tf.constant(z), [1, 1]), joint.logpdf(z), rtol=1e-4)
    drawn = prior.sample(tf.random.stateless_normal([40_000, 2], [0, 0]), [1, 1]).numpy()
    np.testing.assert_allclose(np.cov(drawn.T), joint.cov, atol=0.02)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("standart_normal", ("standard_normal",)),
        ({"name": "standard_normal", "variance": 0}, ("variance", "greater than 0")),
        (3, ("prior", "standard_normal")),
    ],
)
def test_bad_priors(given, parts):
    with pytest.raises(ValueError) as error:
        priors.get(given)
    assert "\n" not in str(error.value) and all(part in str(error.value) for part in parts)
