"""Whatever is said is answered or refused: the parts of ``tests.unit.fuzz`` and of ``python3 -m tests.fuzz``."""

NAMES = ("lines", "dispatcher", "users_server", "info_server", "files", "web")
"""What can be given any bytes (`tests.fuzz.targets`)."""
