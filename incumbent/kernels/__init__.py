"""The quick training step: layers and optimizers that do what Keras's do, with less work.

May import `runtime`, TensorFlow, ktrain and transformers, and nothing of models or data. Begin with
`lean_layers`, which puts the others in a network's place.
"""
