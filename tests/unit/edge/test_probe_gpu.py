"""Graphics processors by a made-up library: what is read, and what happens where there is none or it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tm.edge.probe_gpu import READ_SECONDS, RETRY_SECONDS, NvidiaGpus
from tm.model.report import Gpu


class FakeLibrary:
    """Two cards; a *broken* library fails at everything, a *shy* one does not say what it need not."""

    class NVMLError(Exception):
        """The library's own."""

    def __init__(self) -> None:
        self.broken = self.shy = False
        self.reads = 0

    def nvmlInit(self) -> None:  # noqa: N802  NVIDIA's names, here and below
        self._check()

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._check()
        self.reads += 1
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, device: int) -> Any:  # noqa: N802
        return "Fast 3000" if device else b"Fast 2000"

    def nvmlDeviceGetMemoryInfo(self, device: int) -> Any:  # noqa: N802
        self._check(self.shy)
        return SimpleNamespace(total=8 << 30, used=device << 30)

    def nvmlDeviceGetUtilizationRates(self, device: int) -> Any:  # noqa: N802
        self._check(self.shy)
        return SimpleNamespace(gpu=50 * device)

    def nvmlDeviceGetComputeRunningProcesses(self, device: int) -> list[Any]:  # noqa: N802
        self._check(self.shy)
        return [SimpleNamespace(pid=7), SimpleNamespace(pid=8), SimpleNamespace(pid=99)] if device else []

    def nvmlDeviceGetGraphicsRunningProcesses(self, device: int) -> list[Any]:  # noqa: N802
        self._check(self.shy)
        return [SimpleNamespace(pid=9)] if device else []

    def _check(self, fails: bool = False) -> None:
        if fails or self.broken:
            raise self.NVMLError("GPU is lost")


class GpuTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.library = FakeLibrary()
        self.now = 0.0
        owners = {7: "alice", 8: "alice", 9: "bob"}
        self.gpus = NvidiaGpus(lambda pid: owners.get(pid, ""), lambda: self.library, lambda: self.now)

    def test_model_memory_use_and_users_are_told(self) -> None:
        expected = [
            Gpu(0, "Fast 2000", 8 << 30), Gpu(1, "Fast 3000", 8 << 30, 1 << 30, 0.5, ["alice", "bob"]),
        ]  # fmt: skip
        self.assertEqual(self.gpus(), expected)

    def test_what_a_card_does_not_tell_is_left_out(self) -> None:
        self.library.shy = True
        self.assertEqual(self.gpus()[1], Gpu(1, "Fast 3000", 0))

    def test_they_are_not_read_at_every_look(self) -> None:
        self.gpus()
        self.now = READ_SECONDS - 1
        self.gpus()
        self.assertEqual(self.library.reads, 1)
        self.now = READ_SECONDS
        self.gpus()
        self.assertEqual(self.library.reads, 2)

    def test_without_the_library_there_are_none(self) -> None:
        def absent() -> Any:
            self.now += 1
            raise ImportError("No module named 'pynvml'")

        gpus = NvidiaGpus(lambda pid: "", absent, lambda: 5.0)
        self.assertEqual((gpus(), gpus()), ([], []))
        self.assertLess(self.now, 3.0)

    def test_a_library_without_a_driver_gives_none_and_is_tried_again_later(self) -> None:
        self.library.broken = True
        self.assertEqual(self.gpus(), [])
        self.library.broken = False
        self.now = READ_SECONDS * 2
        self.assertEqual(self.gpus(), [])
        self.now = RETRY_SECONDS
        self.assertEqual(len(self.gpus()), 2)

    def test_a_card_that_is_lost_takes_them_all_away_until_it_is_back(self) -> None:
        self.gpus()
        self.library.broken, self.now = True, READ_SECONDS
        self.assertEqual(self.gpus(), [])
        self.library.broken, self.now = False, READ_SECONDS + RETRY_SECONDS
        self.assertEqual(len(self.gpus()), 2)
