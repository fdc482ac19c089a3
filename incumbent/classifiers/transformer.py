"""Hugging Face models through `ktrain.text.Transformer`, in batches of like length."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.classifiers.classifier_base import Built, Classifier, Rows
from incumbent.encoders import onnx_conversion, pooling_layer, pretrained_weights, tokenizing
from incumbent.encoders.encoded_texts import Ids, batches, pad, recipe
from incumbent.errors import ConfigError
from incumbent.predictor import ONNX, TOKENIZER, shortener

_LAST = ("classifier", "out_proj", "logits_proj")
"""What transformers calls the layer that gives the logits."""
_PROBED, _PROBED_A_CLASS = 2000, 20  # training rows that a head is fitted on, at the most
_AT_ONCE = 32  # rows of a forward pass for them, whatever memory a batch of training may take
# Families that number positions from one past the padding id, and so have fewer than they say.
_OFFSET = ("roberta", "camembert", "longformer", "mpnet")


class TransformerClassifier(Classifier):
    """`transformer` and `distilbert`: any encoder that Hugging Face can load into TensorFlow."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        name = pretrained_weights.default(self.training.weights, self.training.model)
        self.weights = name
        distilbert = self.training.model == "distilbert"
        self.folder = pretrained_weights.resolve(name)
        if not (self.folder / "config.json").is_file():
            raise ConfigError(
                f"training.weights: {name} holds a checkpoint in Google's layout; set "
                "training.model to bert, or name a folder with config.json."
            )
        settings = json.loads((self.folder / "config.json").read_text("utf-8"))
        kind = settings.get("model_type")
        if distilbert and kind != "distilbert":
            raise ConfigError(
                f"training.weights: {name} holds a {kind!r} model, and training.model is "
                "distilbert. Name DistilBERT weights, or set training.model to transformer."
            )
        positions = settings.get("max_position_embeddings")
        if positions and any(family in str(kind) for family in _OFFSET):
            positions -= settings.get("pad_token_id", 1) + 1
        if positions and self.preprocessing.max_length > positions:
            raise ConfigError(
                f"preprocessing.max_length is {self.preprocessing.max_length}; the model in "
                f"training.weights ({name}) reads at most {positions} tokens."
            )

    @property
    def recipe(self) -> str:
        """The tokenizer's files and the settings of the preprocessing."""
        tokenizer = pretrained_weights.tokenizer_files(self.folder)
        return recipe(tokenizer=tokenizer, **self.preprocessing.model_dump())

    def tokenize(self, texts: Sequence[str]) -> tuple[list[str], Ids, NDArray[np.int64]]:
        """As ktrain's `hf_convert_example`, but all texts in one call."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(self.folder))
        limit = self.preprocessing.max_length
        folder = pretrained_weights.tokenizer_folder(self.folder, self.workdir)
        short = shortener(folder, self.preprocessing.truncation, limit)(texts)
        return short, *tokenizing.tokenize(tokenizer.backend_tokenizer, texts, short, limit)

    def build(self, train: Rows, validation: Rows) -> Built:
        """Load the weights under a new classification head."""
        import tensorflow as tf
        from ktrain import text, utils

        from incumbent.classifiers.losses import cross_entropy
        from incumbent.kernels.layer_replacement import lean
        from incumbent.kernels.lazy_adam import LazyAdam, count_layers

        folder, probed = self.folder, self.training.head == "probe"
        if probed and pooling_layer.trained_by_mean(folder):
            folder = pooling_layer.added(folder, self.weights, self.workdir)
        preprocessor = text.Transformer(
            str(folder), maxlen=self.preprocessing.max_length, class_names=list(self.classes)
        )
        # Language detection calls short texts anything; only Chinese and Japanese would differ.
        preprocessor.lang = "en"
        # One row a class tells ktrain all it wants to know of the data; the rest is encoded.
        examples = [str(name) for name in self.classes]
        preprocessor.preprocess_train(examples, self.example_targets(), verbose=0)
        # ktrain compiles all models with this one object, and loss scaling takes it but once.
        utils.DEFAULT_OPT = tf.keras.optimizers.legacy.Adam()
        model = preprocessor.get_classifier(multilabel=self.multilabel)
        if self.training.freeze_embeddings:
            getattr(model, model.base_model_prefix).embeddings.trainable = False
        pad_id = preprocessor.get_tokenizer().pad_token_id
        if probed:
            self._start_from_probe(model, train, pad_id)
        lean(model)
        decay, layers = self.training.layer_decay, count_layers(model)
        if decay < 1 and not layers:
            raise ConfigError(
                f"training.layer_decay is {decay:g}, and the layers of a "
                f"{model.config.model_type!r} model cannot be told apart; set it to 1."
            )
        return Built(
            model=model,
            preprocessor=preprocessor,
            train=self._dataset(train, pad_id),
            validation=self._dataset(validation, pad_id),
            loss=cross_entropy(self.multilabel),
            accuracy=self.accuracy(threshold=0),  # of logits
            optimizer=partial(
                LazyAdam,
                layer_decay=decay,
                layers=layers,
                weight_decay=self.training.weight_decay,
            ),
        )

    def export(self, model: Any, preprocessor: Any, examples: Rows, folder: Path) -> None:  # noqa: ARG002
        """As ONNX, beside the tokenizer."""
        import tensorflow as tf

        def logits(ids: Any) -> Any:
            inputs = {"input_ids": ids, "attention_mask": tf.ones_like(ids)}
            return model(inputs, training=False).logits

        onnx_conversion.write_onnx(logits, examples.ids, folder / ONNX)
        source = pretrained_weights.tokenizer_folder(self.folder, self.workdir)
        shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)

    def complete(self, folder: Path) -> None:
        """Drop this machine's paths from the saved configuration."""
        file = folder / "config.json"
        settings = json.loads(file.read_text("utf-8"))
        settings["_name_or_path"] = self.weights
        file.write_text(json.dumps(settings, indent=1), encoding="utf-8")

    def _start_from_probe(self, model: Any, train: Rows, pad_id: int) -> None:
        """Begin with the head that fits the encoder as it is (Kumar et al. 2022, LP-FT).

        A head of random numbers pulls the encoder about before it knows anything; with many labels,
        or few rows, training may end before it does.
        """
        from incumbent.classifiers.linear_head import fit_head, some_rows

        head = _last_layer(model, len(self.classes))
        if head is None:
            return
        most = max(_PROBED, _PROBED_A_CLASS * len(self.classes))
        some = train.take(some_rows(train.labels, most, self.training.seed))
        vectors = self._inputs_of(head, model, some, pad_id)
        if not np.isfinite(vectors).all():
            return  # broken weights; the training says so
        weights = self.class_weights(train.labels)
        head.set_weights(fit_head(vectors, some.labels, len(self.classes), weights))

    def _inputs_of(self, head: Any, model: Any, rows: Rows, pad_id: int) -> NDArray[np.float32]:
        """What a layer of the model is given for these rows, (n, n_units)."""
        import tensorflow as tf

        call, given = head.call, []

        def caught(inputs: Any, *rest: Any, **named: Any) -> Any:
            given.append(inputs)
            return call(inputs, *rest, **named)

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)] * 2)  # type: ignore[untyped-decorator]
        def inputs(tokens: Any, mask: Any) -> Any:
            model({"input_ids": tokens, "attention_mask": mask}, training=False)
            return tf.cast(given.pop(), tf.float32)

        order = np.argsort([len(row) for row in rows.ids], kind="stable")
        parts = np.split(order, range(_AT_ONCE, len(order), _AT_ONCE))
        head.call = caught
        try:
            vectors = np.concatenate(
                [
                    inputs(*pad(rows.ids, part, pad_id, self.preprocessing.max_length)).numpy()
                    for part in parts
                ]
            )
        finally:
            del head.call  # and its class's is there again
        return np.asarray(vectors[np.argsort(order)])

    def _dataset(self, rows: Rows, pad_id: int) -> Any:
        return _like_length_dataset(
            rows.ids, self.targets(rows.labels), self.training.batch_size, pad_id,
            self.preprocessing.max_length, self.training.seed,
        )  # fmt: skip


def _last_layer(model: Any, classes: int) -> Any:
    """The dense layer that a Hugging Face classifier ends in; None if it ends otherwise."""
    import tensorflow as tf

    for layer in model.submodules:
        if type(layer) is tf.keras.layers.Dense and layer.name in _LAST and layer.units == classes:
            return layer
    return None


def _like_length_dataset(
    ids: Ids, targets: NDArray[np.float32], batch_size: int, pad_id: int, max_length: int, seed: int
) -> Any:
    """A ktrain dataset whose batches are padded to their own longest row, not to `maxlen`."""
    import tensorflow as tf
    from ktrain.text import dataset

    # ktrain finds out by the class's *name* that the data is for a transformer (see
    # ktrain.utils.is_huggingface_from_data), so the subclass has to bear it too.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync

    class TransformerDataset(dataset.TransformerDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            self.ids = ids
            self.x = ids
            self.y = targets
            self.batch_size = batch_size
            self.use_token_type_ids = False
            self.lengths = np.array([len(row) for row in ids])

        def xshape(self) -> tuple[int, int]:
            return len(self.ids), int(self.lengths.max())

        def to_tfdataset(self, train: bool = True) -> Any:
            token = tf.TensorSpec([None, None], tf.int32)
            signature = (
                {"input_ids": token, "attention_mask": token},
                tf.TensorSpec([None, targets.shape[1]], tf.float32),
            )

            def epochs() -> Iterator[Any]:
                # One a stream: how far another was read ahead makes no difference.
                generator = np.random.default_rng(seed) if train else None
                while True:
                    for rows in batches(self.lengths, self.batch_size, generator):
                        # Each device gets as many rows, or one would get none of a short batch.
                        rows = np.resize(rows, -(-len(rows) // replicas) * replicas)
                        tokens, mask = pad(self.ids, rows, pad_id, max_length)
                        yield {"input_ids": tokens, "attention_mask": mask}, self.y[rows]
                    if not train:
                        return

            stream = tf.data.Dataset.from_generator(epochs, output_signature=signature)
            return stream.prefetch(tf.data.AUTOTUNE)

    return TransformerDataset()
