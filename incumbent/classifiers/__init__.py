"""The models: what each builds for ktrain to train, and exports for consumers to load.

May import `encoders` and what is below it; TensorFlow, ktrain and transformers only where they are
used, as texts are tokenized without them. Begin with `catalogue`, which gives the classifier that a
config names, and `classifier_base`, which says what a classifier is.
"""
