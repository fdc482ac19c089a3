"""The same network with less work: what a classifier computes and does not need, and how it does.

Weights, names and results stay those of transformers' model, so it is saved as any other.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from transformers import TFBertForSequenceClassification
from transformers.activations_tf import ACT2FN

from incumbent.classifiers import kernels


def lean(model: Any) -> None:
    """Take the short ways that hold for a Hugging Face classifier, in place."""
    if isinstance(model, TFBertForSequenceClassification):
        _first_token_only(model.bert.encoder.layer[-1])
    # On a GPU, TensorFlow's own kernel is quick at what is slow here.
    if not tf.config.list_logical_devices("GPU"):
        _swap_gelu(model)


def _first_token_only(layer: Any) -> None:
    """Let BERT's last layer work out the first token's state alone: no other is classified.

    The first token attends to all, which is what the layer's cross-attention computes: queries
    from one sequence, keys and values from another. In a network of 6 layers that saves a seventh.
    """

    def call(
        hidden_states: Any, attention_mask: Any, head_mask: Any, *_: Any, training: bool = False,
        **__: Any,
    ) -> tuple[Any]:  # fmt: skip
        attended = layer.attention(
            input_tensor=hidden_states[:, :1], attention_mask=None, head_mask=head_mask,
            encoder_hidden_states=hidden_states, encoder_attention_mask=attention_mask,
            past_key_value=None, output_attentions=False, training=training,
        )[0]  # fmt: skip
        wider = layer.intermediate(hidden_states=attended)
        return (layer.bert_output(hidden_states=wider, input_tensor=attended, training=training),)

    layer.call = call


def _swap_gelu(model: Any) -> None:
    for layer in model.submodules:
        for name, part in list(vars(layer).items()):
            if part is ACT2FN["gelu"]:
                setattr(layer, name, kernels.gelu)
