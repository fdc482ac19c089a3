"""A search for the settings of a model: the space, the study that workers share, its pictures.

May import `retraining` and what is below it; the only wing that imports optuna. Begin with
`search_space`, then `shared_study`; the flow is `flows/sweep.py`.
"""
