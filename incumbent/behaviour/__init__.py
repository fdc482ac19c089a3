"""How a classifier behaves: CheckList's tests, from a YAML file to verdicts.

May import `evaluation` and what is below it. Begin with `behaviour_tests`; `behaviour.yaml`, the
packaged suite, explains the format that `suite_file` reads.
"""
