"""What classifiers are made from: pretrained weights, texts as token ids or vectors, ONNX graphs.

May import `kernels` and what is below it; TensorFlow and transformers only where they are used.
Begin with `pretrained_weights`, then `encoded_texts`, which every model reads, and
`frozen_encoder`, which makes vectors of texts.
"""
