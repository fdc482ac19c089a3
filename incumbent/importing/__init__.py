"""A predictor that ktrain saved, taken over: found, unpickled apart, exported to be served.

It may import `classifiers`, `tables` and what is below them. Begin with `saved_predictor`, which
looks at the files without unpickling any; `conversion_process` is where one is unpickled.
"""
