"""What labelled text must satisfy before anything is trained on it.

May import `data` and what is below it; the only wing with Great Expectations. Begin with
`expectation_suites.validate`; `text_checks` and `label_checks` hold the rules.
"""
