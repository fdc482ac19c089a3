"""Training with ktrain's learner: devices, checkpoints, the learning rate, the result.

May import `classifiers` and what is below it. Begin with `fitting`, which trains, and
`trainer_client`, by which a flow has that done in a process of its own.
"""
