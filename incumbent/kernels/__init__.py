"""Fast layers and optimizers for training: what Keras's do, with less work.

May import `runtime`, TensorFlow, ktrain and transformers, and nothing of models or data. Begin with
`layer_replacement`, which puts the others in a network's place.
"""
