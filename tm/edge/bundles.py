"""Outputs of tasks on their way into the file of their array: kept in the spool, then appended where it is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tm import bundle
from tm.ports import Output


class Bundles:
    """Appends outputs to the segment of *host*; *spool* is the folder of this server's spool, *name* its own name."""

    def __init__(self, spool: str, host: str, name: str) -> None:
        self.folder = os.path.join(spool, "outputs")
        self._segment = f"{host}-{name[:8]}.part"
        os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def _path(self, key: tuple[int, int]) -> str:
        """Return where an attempt has written its output."""
        return os.path.join(self.folder, f"{key[0]}.{key[1]}")

    def put(self, outputs: Iterable[Output]) -> dict[tuple[int, int], str]:
        """Append *outputs* to their bundles, durably; return of which that failed and why. Blocks.

        What is not there any more was appended before. An output that cannot be appended stays where it is.
        """
        by_bundle: dict[str, list[Output]] = {}
        for output in outputs:
            by_bundle.setdefault(output.bundle, []).append(output)
        failed = {}
        for path, several in by_bundle.items():
            try:
                self._append(path, several)
            except OSError as error:
                for output in several:
                    failed[output.key] = f"{path}: {error.strerror}; it stays in {self._path(output.key)}"
        return failed

    def _append(self, path: str, outputs: list[Output]) -> None:
        there = [(one.about, self._path(one.key)) for one in outputs if os.path.exists(self._path(one.key))]
        if not there:
            return
        folder = bundle.folder_of(path)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, self._segment), "ab") as segment:
            bundle.append(segment, there)
        for _, source in there:
            os.unlink(source)
