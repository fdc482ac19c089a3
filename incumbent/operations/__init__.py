"""What runs unattended: the inbox, the monitor, notices, and how everything stands.

May import all but `cli`. Begin with `inbox_files` for new data, `monitored_troubles` for what can
go wrong, `notice_channels` for who is told, and `status` for one screen of it all.
"""
