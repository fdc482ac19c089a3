"""Stands in for what trains, in a process of its own."""

from tests import forks

if __name__ == "__main__":
    forks.stand_in("training")
