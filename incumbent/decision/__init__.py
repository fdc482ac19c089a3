"""The ruling: whether a challenger takes the title, as pure functions of stored evidence.

May import `evaluation` and what is below it; it reads no store and asks no model. Begin with
`rulings.decide`; `evidence` says what it rests on.
"""
