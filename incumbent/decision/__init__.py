"""Whether a challenger takes the title: pure functions of stored evidence.

May import `evaluation` and what is below it; it reads no store and asks no model. Begin with
`proof_and_ruling.decide`; `evidence` says what it rests on.
"""
