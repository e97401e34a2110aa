"""alibi's Counterfactual (Wachter et al. 2017) answers exported questions: `python alibi_answers.py QUESTIONS ANSWERS`.

QUESTIONS is a folder that `benchmark export` wrote, with its classifier.onnx. Needs none of this project, so it runs in
an environment of its own: `pip install alibi tensorflow onnxruntime` (alibi asks for older versions of numpy). It asks
the classifier for probabilities alone and takes gradients by differences, the way alibi explains a black box. Prints
the CPU seconds that the answers took.
"""

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import tensorflow
from alibi.explainers import Counterfactual
from PIL import Image

tensorflow.compat.v1.disable_v2_behavior()  # as alibi's documentation asks

CONFIDENCE, TOLERANCE = 0.95, 0.05
"""A probability of the target between .9 and 1 is a flip; every other setting is alibi's own."""


def main(questions: Path, answers: Path) -> None:
    """Answer each query; one that alibi finds no counterfactual for gets no file."""
    classes, predict = network(questions)
    answers.mkdir(parents=True, exist_ok=True)
    with (questions / "targets.csv").open() as file:
        asked = [(row["name"], classes.index(row["target"])) for row in csv.DictReader(file)]
    started = time.process_time()
    for name, target in asked:
        query = np.asarray(Image.open(questions / "queries" / f"{name}.png"), dtype=np.float32)[None, None] / 255
        if (found := counterfactual(query, target, predict)) is not None:
            Image.fromarray((found[0, 0] * 255).round().astype(np.uint8)).save(answers / f"{name}.png")
    print((time.process_time() - started) / len(asked))


def network(questions: Path) -> tuple[list[str], Callable[[np.ndarray], np.ndarray]]:
    """The classes of ten digits, and the exported classifier: (N, 1, H, W) in [0, 1] -> probabilities (N, classes)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(questions / "classifier.onnx"), options)

    def predict(images: np.ndarray) -> np.ndarray:
        (logits,) = session.run(["logits"], {"images": images.astype(np.float32)})
        risen = np.exp(logits - logits.max(1, keepdims=True))
        return risen / risen.sum(1, keepdims=True)

    return [str(digit) for digit in range(10)], predict


def counterfactual(query: np.ndarray, target: int, predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """What alibi answers, (1, 1, H, W) in [0, 1]; None where it finds nothing."""
    tensorflow.compat.v1.reset_default_graph()
    explainer = Counterfactual(
        predict, query.shape, target_class=target, target_proba=CONFIDENCE, tol=TOLERANCE, feature_range=(0.0, 1.0)
    )
    found = explainer.explain(query).cf
    return None if found is None else np.clip(found["X"], 0, 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
