"""alibi's Counterfactual (Wachter et al. 2017) answers exported questions: `python alibi_answers.py QUESTIONS ANSWERS`.

QUESTIONS is a folder of digits that `benchmark export` wrote. Needs none of this project, so it runs in an environment
of its own: `pip install alibi click tensorflow tf-keras safetensors` (alibi asks for an older numpy). alibi is given
the same classifier as a Keras model, so that it has gradients; of a black box it would take differences, which is
slower. Prints the CPU seconds of an answer.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # alibi 0.9.6 knows no other

import numpy as np
import tensorflow
from alibi.explainers import Counterfactual
from PIL import Image
from safetensors import safe_open

tensorflow.compat.v1.disable_v2_behavior()  # as alibi's documentation asks
layers = tensorflow.keras.layers

CONFIDENCE, TOLERANCE = 0.95, 0.05
"""A probability of the target between .9 and 1 is a flip; every other setting is alibi's own."""
NORMALISED = ("weight", "bias", "running_mean", "running_var")
"""Of a normalisation layer, in Keras' order."""


def main(questions: Path, answers: Path) -> None:
    """Answer each query; one that alibi finds no counterfactual for gets no file."""
    answers.mkdir(parents=True, exist_ok=True)
    classes, network = classifier(questions / "classifier.safetensors")
    with (questions / "targets.csv").open() as file:
        asked = [(row["name"], classes.index(row["target"])) for row in csv.DictReader(file)]
    shape = network.input_shape[1:]
    told = {"target_proba": CONFIDENCE, "tol": TOLERANCE, "feature_range": (0.0, 1.0)}
    explainers = {label: Counterfactual(network, (1, *shape), target_class=label, **told) for _, label in asked}
    started = time.process_time()
    for name, target in asked:
        pixels = np.asarray(Image.open(questions / "queries" / f"{name}.png"), dtype=np.float32)
        if (found := explainers[target].explain(pixels.reshape(1, *shape) / 255).cf) is not None:
            pixels = np.clip(found["X"][0, ..., 0], 0, 1) * 255
            Image.fromarray(pixels.round().astype(np.uint8)).save(answers / f"{name}.png")
    print((time.process_time() - started) / len(asked))


def classifier(weights: Path) -> tuple[list[str], "tensorflow.keras.Model"]:
    """The classes, and the exported network in Keras: (N, H, W, C) in [0, 1] -> probabilities (N, classes)."""
    with safe_open(str(weights), "np") as file:
        told = json.loads(file.metadata()["settings"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    pool = layers.MaxPool2D if told["pooling"] == "max" else layers.AveragePooling2D
    channels, *sides = told["shape"]
    network = tensorflow.keras.Sequential([layers.InputLayer((*sides, channels))])
    values = []
    for place, width in enumerate(told["channels"]):
        network.add(layers.Conv2D(width, told["kernel_size"], padding="same", use_bias=False))
        network.add(layers.BatchNormalization(epsilon=1e-5, trainable=False))
        network.add(layers.ReLU())
        network.add(pool())
        values.append(tensors[f"convolutions.{4 * place}.weight"].transpose(2, 3, 1, 0))
        values += [tensors[f"convolutions.{4 * place + 1}.{name}"] for name in NORMALISED]
    network.add(layers.Permute((3, 1, 2)))
    network.add(layers.Flatten())
    network.add(layers.Dense(told["features"], activation="relu"))
    network.add(layers.Dense(len(told["classes"]), activation="softmax"))
    for name in ("first", "rest.2"):
        values += [tensors[f"{name}.weight"].T, tensors[f"{name}.bias"]]
    network.set_weights(values)
    return told["classes"], network


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("questions", type=Path, help="what benchmark export wrote")
    parser.add_argument("answers", type=Path, help="a folder to write to")
    given = parser.parse_args()
    if not all((given.questions / name).exists() for name in ("classifier.safetensors", "targets.csv", "queries")):
        parser.error(f"{given.questions} holds no questions with a classifier; write them with benchmark export")
    if given.answers.exists() and not given.answers.is_dir():
        parser.error(f"{given.answers} is a file; name a folder")
    main(given.questions, given.answers)
