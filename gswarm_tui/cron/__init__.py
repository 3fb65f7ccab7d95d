"""Runs at set times: the user's crontab, and systemd's user timers.

`schedule` reads cron's five fields, `entry` describes what is run, `crontab` and `timers` install
it for cron and systemd, and `history` knows how the last run of each went.
"""
