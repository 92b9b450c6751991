"""Alerts: people and programs who are told when something needs a person, and when it is over.

problems.py          what is wrong now (Home shows the same)
alerts/watching.py   a sweep: what is newly wrong becomes an incident, what is not wrong any more ends it
alerts/sending.py    each incident to each who is to be told, once when it begins and once when it ends
alerts/recipients.py who is to be told
"""
