"""Replace a network's layers by the fast ones, and leave out what a classifier does not need.

Weights, names and results stay those of transformers' model, so it is saved as any other.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf
from transformers import TFBertForSequenceClassification
from transformers.activations_tf import ACT2FN

from incumbent.kernels import dropout, gelu_and_layer_norm
from incumbent.kernels.attention import attend


def lean(model: Any) -> None:
    """Take the short ways that hold for a Hugging Face classifier, in place."""
    bert = isinstance(model, TFBertForSequenceClassification)
    if bert:
        _first_token_only(model.bert.encoder.layer[-1])
    # On a GPU, TensorFlow's own kernels are quick at what is slow here.
    if tf.config.list_logical_devices("GPU"):
        return
    if bert:
        for layer in model.bert.encoder.layer:
            _attend_by_blocks(layer.attention.self_attention)
    _swap_gelu(model)
    _swap_dropout(model)
    _swap_normalization(model)


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


def _attend_by_blocks(layer: Any) -> None:
    """Let a self-attention train by `attention.attend`; it answers as before."""
    whole = layer.call

    def call(
        hidden_states: Any, attention_mask: Any, head_mask: Any, encoder_hidden_states: Any,
        encoder_attention_mask: Any, past_key_value: Any, output_attentions: bool,
        training: bool = False,
    ) -> Any:  # fmt: skip
        if not training:
            return whole(
                hidden_states, attention_mask, head_mask, encoder_hidden_states,
                encoder_attention_mask, past_key_value, output_attentions, training,
            )  # fmt: skip
        crossed = encoder_hidden_states is not None
        read_from = encoder_hidden_states if crossed else hidden_states
        batch = tf.shape(hidden_states)[0]
        queries, keys, values = (
            layer.transpose_for_scores(part(inputs=states), batch)
            for part, states in (
                (layer.query, hidden_states), (layer.key, read_from), (layer.value, read_from),
            )
        )  # fmt: skip
        mask = encoder_attention_mask if crossed else attention_mask
        seed = dropout.seed(layer.dropout)
        read = attend(queries, keys, values, mask, layer.dropout.rate, seed)
        return (tf.reshape(tf.transpose(read, [0, 2, 1, 3]), tf.shape(hidden_states)),)

    layer.call = call


def _swap_dropout(model: Any) -> None:
    for layer in model.submodules:
        if type(layer) is tf.keras.layers.Dropout and layer.rate:
            layer.call = partial(_drop, layer)


def _drop(layer: Any, inputs: Any, training: bool = False) -> Any:
    return dropout.drop(inputs, layer.rate, dropout.seed(layer)) if training else inputs


def _swap_gelu(model: Any) -> None:
    for layer in model.submodules:
        for name, part in list(vars(layer).items()):
            if part is ACT2FN["gelu"]:
                setattr(layer, name, gelu_and_layer_norm.gelu)


def _swap_normalization(model: Any) -> None:
    for layer in model.submodules:
        kind = type(layer) is tf.keras.layers.LayerNormalization
        # The last axis, as -1 before the layer is built and by its place in (batch, n, size) after.
        if kind and layer.axis in (-1, [-1], [2]) and layer.center and layer.scale:
            layer.call = partial(_normalize, layer)


def _normalize(layer: Any, inputs: Any) -> Any:
    return gelu_and_layer_norm.normalize(layer, inputs)
