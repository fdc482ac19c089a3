"""Stands in for what answers for a registered model, in a process of its own."""

from tests import forks

if __name__ == "__main__":
    forks.stand_in("answering")
