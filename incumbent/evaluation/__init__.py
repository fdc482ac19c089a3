"""How good a classifier is: arrays in, numbers and pictures out.

May import `data`, `predictor` and what is below them. Begin with `assessment`, which measures a
trained model on the test set, and `evaluation`, which makes numbers of its probabilities.
"""
