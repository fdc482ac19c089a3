"""Who holds the title: the ledger, the alias that follows it, and the evidence for both.

May import `decision`, `scoring` and what is below them. Begin with `contest`, in which a challenger
meets the champion, and `ledger`, which says how decisions are written.
"""
