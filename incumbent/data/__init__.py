"""The canonical dataset: labelled text from any source, named by the digest of its contents.

May import `tables` and what is below it. Begin with `ingestion`, which makes a dataset of what a
config names, and `datasets`, which says what one is.
"""
