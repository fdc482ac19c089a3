"""The command `incumbent`: arguments in, exit codes, tables and JSON out.

The highest wing: it may import all others, and the flow that `incumbent retrain` runs. Begin with
`main`; the commands about one machine and about the title have modules of their own.
"""
