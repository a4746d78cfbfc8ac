"""Whatever is said is answered or refused: the parts of ``tests.unit.fuzz`` and of ``python3 -m tests.fuzz``."""
