"""What people should label: labels that are probably wrong, and rows that would teach most.

May import `scoring` and what is below it; the only wing that imports cleanlab. Begin with
`labelling_commands`, then `suspects` and `row_choice`.
"""
