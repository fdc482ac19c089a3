"""The command `incumbent`: arguments in, exit codes, tables and JSON out.

The highest wing: it may import all others, the flow that `incumbent retrain` runs, and
`tasks.show`. Begin with `main`; the commands about servers and about the title have modules of
their own.
"""
