"""Processes, signals, locks, time limits, failures, files, databases, secrets: no machine learning.

May import `errors` alone. Each module stands for itself: begin with the one whose name you need.
"""
