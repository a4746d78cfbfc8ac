"""The domain: jobs, hosts, what may happen to them, and the dispatcher's decisions.

Nothing here does I/O, asks a clock or knows Twisted: events with their time go in, effects come out.
"""
