"""TaskManager: distributes calculation jobs over the Unix hosts of a group that has no administrator."""

__version__ = "1.0.0"
PROTOCOL = 1
