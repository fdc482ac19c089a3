"""One retraining: its identity, whether it is needed, its registration and its report.

May import `title` and what is below it. Begin with `retraining_identity`; its stages
are in the folder `tasks`.
"""
