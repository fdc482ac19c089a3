"""`python -m incumbent` is `incumbent`."""

from incumbent.cli import main

main()
