"""The model that the prediction benchmarks serve: one ktrain predictor, and what is made of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from benchmarks import reviews
from benchmarks.reviews import Options
from incumbent.data import canonical_text

MAX_LENGTH = 256


def ktrain_folder(options: Options) -> Path:
    """A ktrain predictor trained for a few steps on the rows, as `incumbent retrain` leaves it."""
    folder = options.scratch / "run" / "predictor"
    if folder.is_dir():
        return folder
    from incumbent.classifiers import catalogue
    from incumbent.config import PreprocessingConfig, ServingConfig, TrainingConfig
    from incumbent.data import datasets
    from incumbent.encoders import encoded_texts
    from incumbent.training import fitting

    drawn = reviews.frame(options, 96)
    data = drawn.rename(columns={"Reviews": "text", "Sentiment": "label"}).reset_index(drop=True)
    data = canonical_text.canonical(data.assign(row=range(len(data)), found="text"))
    classifier = catalogue.create(
        TrainingConfig(model="transformer", epochs=1, batch_size=16),
        PreprocessingConfig(max_length=MAX_LENGTH), ("neg", "pos"), options.scratch,
    )  # fmt: skip
    dataset = datasets.save([data], [data.head(16)], ("train", "test"), options.scratch)
    encoded = encoded_texts.encode(
        dataset, classifier.tokenize, classifier.recipe, MAX_LENGTH, options.scratch
    )
    serving = ServingConfig(precision="int8")
    fitting.fit(classifier, encoded, folder, "Reviews", serving, lambda _: None, lambda _: None)
    return folder


def served_folder(options: Options) -> Path:
    """What is served of it: the folder that `Predictor().load` takes."""
    from incumbent.training import fitting

    return fitting.served_folder(ktrain_folder(options))


def int8_by_hand(options: Options) -> Path:
    """The same network in ONNX, weights quantised to int8, as one does it by hand.

    TensorFlow's exact GELU becomes an operator that ONNX lacks, so it is said by `erf`.
    """
    target = options.scratch / "int8.onnx"
    if target.is_file():
        return target
    import tensorflow as tf
    import tf2onnx
    from onnxruntime.quantization import quantize_dynamic
    from transformers import TFBertForSequenceClassification

    model = TFBertForSequenceClassification.from_pretrained(str(ktrain_folder(options)))

    def gelu(states: Any) -> Any:
        return 0.5 * states * (1 + tf.math.erf(states * 0.5**0.5))

    for layer in model.bert.encoder.layer:
        layer.intermediate.intermediate_act_fn = gelu
    names = ("input_ids", "attention_mask")
    signature = [tf.TensorSpec([None, None], tf.int32, name=name) for name in names]

    def logits(*tensors: Any) -> Any:
        return model(dict(zip(names, tensors, strict=True)), training=False).logits

    whole = target.with_name("float32.onnx")
    tf2onnx.convert.from_function(
        tf.function(logits, input_signature=signature), signature, opset=17, output_path=str(whole)
    )
    # Its advice on preprocessing does not hold for dynamic quantisation.
    logging.getLogger().setLevel(logging.ERROR)
    quantize_dynamic(str(whole), str(target))
    return target
