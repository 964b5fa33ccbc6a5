"""Everything that is saved comes back, also in a process that has imported nothing but the zoo and Keras."""

import importlib
import pkgutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from zoo import ContrastiveVAE, networks
from zoo.augmentation.images import RandomFlip, RandomResizedCrop
from zoo.latents.head import GaussianHead

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 28, 28, 1)).astype(np.uint8)

LOAD = """
import sys
{imports}
import numpy as np

model = keras.saving.load_model(sys.argv[1])
loc, scale = model.encode(np.load(sys.argv[2]))
np.savez(sys.argv[3], loc=loc, scale=scale, samples=model.sample(3, seed=1), name=type(model).__name__,
         iterations=model.optimizer.iterations.numpy(), optimizer=np.concatenate(
             [np.ravel(v.numpy()) for v in model.optimizer.variables if 'momentum' in v.path]))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A trained contrastive model with every kind of part: its file, the images' file, and the model itself."""
    folder = tmp_path_factory.mktemp("saved")
    pair = networks.build("conv", (28, 28, 1), 4, "sigmoid")
    likelihood = {"name": "gaussian", "variance": 0.5, "learned": True}
    views = [RandomResizedCrop(0.5), RandomFlip(0.1), keras.layers.RandomTranslation(0.1, 0.1, seed=3)]
    model = ContrastiveVAE(*pair, 4, likelihood=likelihood, queue_size=32, views=views, seed=1)
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9))
    model.fit(IMAGES, batch_size=8, epochs=1, verbose=0)
    model.save(folder / "model.keras")
    np.save(folder / "images.npy", IMAGES)
    return folder, model


@pytest.mark.parametrize("imports", ["import zoo, keras", "import keras, zoo"])
def test_a_model_loads_in_a_fresh_process(saved, tmp_path, imports):
    folder, model = saved
    files = [str(folder / "model.keras"), str(folder / "images.npy"), str(tmp_path / "found.npz")]
    subprocess.run([sys.executable, "-c", LOAD.format(imports=imports), *files], check=True, capture_output=True)
    found = np.load(files[2])
    loc, scale = model.encode(IMAGES)
    np.testing.assert_allclose(found["loc"], loc, atol=1e-6)
    np.testing.assert_allclose(found["scale"], scale, atol=1e-6)
    np.testing.assert_allclose(found["samples"], model.sample(3, seed=1), atol=1e-6)
    momenta = [np.ravel(v.numpy()) for v in model.optimizer.variables if "momentum" in v.path]
    np.testing.assert_array_equal(found["optimizer"], np.concatenate(momenta))
    assert found["iterations"] == 3
    assert found["name"] == "ContrastiveVAE"


def test_a_loaded_model_trains_on_as_the_saved_one_would(saved):
    folder, model = saved
    loaded = keras.saving.load_model(folder / "model.keras")
    assert [type(view).__name__ for view in loaded.views] == [type(view).__name__ for view in model.views]
    config = model.get_config()
    assert {k: v for k, v in loaded.get_config().items() if not isinstance(v, dict | list)} == {
        k: v for k, v in config.items() if not isinstance(v, dict | list)
    }
    # Keras leaves the states of its own random layers out of its files.
    for theirs, mine in zip(model.variables, loaded.variables, strict=True):
        if "seed_generator_state" in mine.path:
            mine.assign(theirs)
    for mine in (model, loaded):
        mine.fit(IMAGES, batch_size=8, epochs=1, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_importing_the_zoo_registers_every_class():
    code = "import zoo, keras; print(*sorted(n for n in keras.saving.get_custom_objects() if n.startswith('zoo>')))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    for module in pkgutil.walk_packages(zoo.__path__, "zoo."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert found == sorted(name for name in keras.saving.get_custom_objects() if name.startswith("zoo>"))


@pytest.mark.parametrize(
    "layer",
    [
        zoo.Bernoulli(),
        zoo.Gaussian(variance=0.25, learned=True),
        RandomResizedCrop(0.2, 0.9, 1.5, 0.7),
        RandomFlip(0.3),
        zoo.augmentation.images.ColorJitter(0.1, 0.2, 0.3, 0.05, 0.6),
        zoo.augmentation.images.RandomGrayscale(0.4),
        GaussianHead(3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_keep_their_configuration(layer):
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


def test_the_command_imports_what_it_needs():
    heavy = "{'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    code = f"import sys; sys.argv = ['zoo']; import zoo, zoo.metrics, zoo.experiments.schema; assert not {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    assert set(zoo.__all__) <= set(dir(zoo))
    for name in dir(zoo):
        assert getattr(zoo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'VEA'"):
        _ = zoo.VEA
