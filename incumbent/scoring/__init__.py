"""Asking a registered model: in a clean process of its own, for single texts and whole tables.

May import `tracking` and what is below it. Begin with `model_client`, which asks; `model_process`
is the process that answers.
"""
