"""``quickstart.py``: TaskManager on one machine with nothing to edit. Standard library only, but for what it starts."""
