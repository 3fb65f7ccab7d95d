"""Runs at set times: the user's crontab, and systemd's user timers.

`schedule` reads cron's five fields, `entry` is what is to be run, `crontab` and `timers` write it
where cron and systemd look, and `history` knows how each one's last run went.
"""
