"""Other schedulers, measured in the same run and on the same machine as we are.

Each module has one `contract.Peer`: it starts a private one of its own, and ends only that. ``runner`` measures them
in turns.
"""
