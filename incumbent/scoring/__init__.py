"""Ask a registered model, in a process of its own: single texts and whole tables.

May import `tracking` and what is below it. Begin with `model_client`, which asks; `model_process`
is the process that answers.
"""
