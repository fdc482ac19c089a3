"""The canonical dataset: labelled text with an identity, from any source; and what is in it.

May import `tables` and what is below it. Begin with `ingestion`, which makes a dataset of what a
config names, and `datasets`, which says what one is.
"""
