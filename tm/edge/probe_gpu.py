"""Graphics processors, by NVIDIA's library where it is installed (extra ``gpu``); none where it is not."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from tm.model.report import Gpu

READ_SECONDS = 10.0
RETRY_SECONDS = 600.0

_log = Logger()


class NvidiaGpus:
    """Reads all graphics processors; *owner* tells the user of a pid. A failure is logged, and tried again later."""

    def __init__(
        self, owner: Callable[[int], str], library: Callable[[], Any] = lambda: importlib.import_module("pynvml"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._owner = owner
        self._load = library
        self._clock = clock
        self._library: Any = None
        self._next = float("-inf")
        self._last: list[Gpu] = []

    def __call__(self) -> list[Gpu]:
        """Return how the graphics processors are, at most `READ_SECONDS` old."""
        now = self._clock()
        if now < self._next:
            return self._last
        self._next = now + READ_SECONDS
        try:
            if self._library is None:
                library = self._load()
                library.nvmlInit()
                self._library = library
            self._last = [self._read(index) for index in range(self._library.nvmlDeviceGetCount())]
        except ImportError:
            self._next, self._last = float("inf"), []
        except self._failures() as failure:
            if self._last or self._library is not None:
                _log.warn("the graphics processors cannot be read: {text}", event="gpu", text=str(failure))
            self._library = None
            self._next, self._last = now + RETRY_SECONDS, []
        return self._last

    def _failures(self) -> tuple[type[BaseException], ...]:
        library = self._library
        if library is None:
            try:
                library = self._load()
            except ImportError:
                return (OSError,)
        return (library.NVMLError, OSError)

    def _read(self, index: int) -> Gpu:
        library = self._library
        device = library.nvmlDeviceGetHandleByIndex(index)
        model = library.nvmlDeviceGetName(device)
        total, used = self._memory(device)
        return Gpu(
            index=index, model=model.decode() if isinstance(model, bytes) else str(model), memory=total,
            memory_used=used, use=self._use(device), users=self._users(device),
        )  # fmt: skip

    def _memory(self, device: Any) -> tuple[int, int]:
        """Return the bytes in all and in use; a card that shares the computer's memory has none of its own."""
        try:
            memory = self._library.nvmlDeviceGetMemoryInfo(device)
        except self._library.NVMLError:
            return 0, 0
        return int(memory.total), int(memory.used)

    def _use(self, device: Any) -> float:
        try:
            return float(self._library.nvmlDeviceGetUtilizationRates(device).gpu) / 100
        except self._library.NVMLError:
            return 0.0

    def _users(self, device: Any) -> list[str]:
        """Return who has processes on it; not every card tells."""
        pids: set[int] = set()
        for asked in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
            try:
                pids.update(process.pid for process in getattr(self._library, asked)(device))
            except self._library.NVMLError:
                continue
        return sorted({owner for owner in map(self._owner, pids) if owner})
