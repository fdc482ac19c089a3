"""How good a classifier is: arrays in, numbers and pictures out.

May import `data`, `predictor` and what is below them. Begin with `challenger_assessment`, which
measures a trained model on the test set, and `evaluation_summary`, which makes the numbers.
"""
