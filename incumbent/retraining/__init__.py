"""One retraining: what identifies it, whether it is worth while, its registration and its report.

May import `title` and what is below it. Begin with `identity`; the stages are in `tasks`.
"""
