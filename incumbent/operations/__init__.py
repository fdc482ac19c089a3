"""What runs unattended on a machine: servers, the inbox, the monitor, notices.

May import all but `cli`; with `cli`, the only wing that speaks to a Prefect server. Begin with
`up_and_down` for the servers, `watched_inbox` for new data, `status` for how everything stands.
"""
