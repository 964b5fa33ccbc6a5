"""A KerasTuner search over γ and the learning rate of the contrastive VAE.

python examples/keras_tuner_search.py --trials 4 --epochs 5
"""

import argparse
import tempfile

import keras_tuner

from zoo.experiments import configurations, tuning

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--trials", type=int, default=4)
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()

# The configuration, here with a smaller network, brings data and recipe; the search varies two of its keys.
settings = ["model.network={name: mlp, width: 256}", "model.likelihood=bernoulli", "train.optimizer={name: adam}"]
experiment = configurations.load("digits/contrastive", [*settings, f"train.epochs={options.epochs}"])
space = {"model.gamma": (0.0, 2.0), "train.optimizer.learning_rate": (1e-4, 1e-2, "log")}

with tempfile.TemporaryDirectory() as folder:
    tuner = keras_tuner.BayesianOptimization(
        tuning.hypermodel(experiment, space),
        objective=tuning.OBJECTIVE,  # the validation mutual information, as large as possible
        max_trials=options.trials,
        num_initial_points=2,
        seed=1,  # KerasTuner takes 0 for none
        directory=folder,
        project_name="digits",
    )
    tuner.search(verbose=0)

    for trial in tuner.oracle.get_best_trials(options.trials):
        chosen = ", ".join(f"{key} {value:.4g}" for key, value in trial.hyperparameters.values.items())
        print(f"mutual information {trial.score:.2f} nats: {chosen}")
    best = tuner.get_best_models(1)[0]
    loc, _ = best.encode(tuner.hypermodel.examples[1].images[:8])
    print("best model's codes:", loc.shape)
