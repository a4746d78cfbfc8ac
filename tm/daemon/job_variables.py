"""What a job's program finds in its environment: ``TM_*``, and the ``SLURM_*`` variables that programs look for.

What is the same for all alike jobs makes layers of its own, named by what is in them, so that it is said once for many.
The order of the layers: what holds only where the user has set nothing, what the user has set, what all alike jobs
have, what only this attempt has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from tm.model.ids import array_of, index_of, read_ranges, shown_id
from tm.model.spec import SHARED

if TYPE_CHECKING:
    from tm.daemon.orders import Order
    from tm.model.spec import JobSpec

Layer = tuple[str, Mapping[str, str]]
"""The name of a layer, and its variables."""

_MEBIBYTE = 1 << 20


def layers(order: Order, spec: JobSpec, host: str, cluster: str) -> tuple[Layer, Layer]:
    """Return the layer below the user's own environment, and the one above it."""
    return _defaults(order.cores), _shared(
        spec.shown_name, spec.user, spec.cwd, order.cores, order.memory, spec.account, order.cpus, order.gpus, host,
        cluster,
    )  # fmt: skip


def own(order: Order, spec: JobSpec) -> dict[str, str]:
    """Return what only this attempt has."""
    shown, number = str(shown_id(order.job)), str(order.job)
    found = {
        "TM_JOB_ID": shown, "TM_ATTEMPT": str(order.attempt), "SLURM_JOB_ID": number, "SLURM_JOBID": number,
    }  # fmt: skip
    if order.attempt > 1:
        found["SLURM_RESTART_COUNT"] = str(order.attempt - 1)
    index = index_of(order.job)
    if index is not None:
        of_array = {"JOB_ID": str(array_of(order.job)), "TASK_ID": str(index), **_of_array(spec.array)}
        for name, value in of_array.items():
            found["TM_ARRAY_" + name] = found["SLURM_ARRAY_" + name] = value
    return found


def whole(order: Order, spec: JobSpec, host: str, cluster: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return all variables of an attempt whose user has set *environment*."""
    below, above = layers(order, spec, host, cluster)
    mine = {name: value for name, value in environment.items() if name != SHARED}
    return {**below[1], **mine, **above[1], **own(order, spec)}


@lru_cache(maxsize=256)
def _of_array(ranges_text: str) -> dict[str, str]:
    ranges = read_ranges(ranges_text)
    return {
        "TASK_COUNT": str(sum(map(len, ranges))), "TASK_MIN": str(min(one[0] for one in ranges)),
        "TASK_MAX": str(max(one[-1] for one in ranges)), "TASK_STEP": str(ranges[0].step),
    }  # fmt: skip


@lru_cache(maxsize=256)
def _defaults(cores: int) -> Layer:
    return _named({"OMP_NUM_THREADS": str(cores)})


@lru_cache(maxsize=1024)
def _shared(
    name: str, user: str, cwd: str, cores: int, memory: int, account: str, cpus: tuple[int, ...],
    gpus: tuple[int, ...], host: str, cluster: str,
) -> Layer:  # fmt: skip
    count = str(cores)
    found = {
        "TM_JOB_NAME": name, "TM_HOST": host, "TM_USER": user, "TM_CLUSTER": cluster, "TM_CORES": count,
        "TM_SUBMIT_DIR": cwd, "SLURM_JOB_NAME": name, "SLURM_JOB_USER": user, "SLURM_CLUSTER_NAME": cluster,
        "SLURM_SUBMIT_DIR": cwd, "SLURMD_NODENAME": host, "SLURM_JOB_NODELIST": host, "SLURM_NODELIST": host,
        "SLURM_JOB_NUM_NODES": "1", "SLURM_NNODES": "1", "SLURM_NTASKS": "1", "SLURM_NPROCS": "1",
        "SLURM_TASKS_PER_NODE": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
        "SLURM_CPUS_PER_TASK": count, "SLURM_CPUS_ON_NODE": count, "SLURM_JOB_CPUS_PER_NODE": count,
    }  # fmt: skip
    if memory:
        found["TM_MEMORY"] = str(memory)
        found["SLURM_MEM_PER_NODE"] = str(max(1, memory // _MEBIBYTE))
    if account:
        found["SLURM_JOB_ACCOUNT"] = account
    if cpus:
        found["TM_CPUS"] = ",".join(map(str, cpus))
    if gpus:
        found |= _gpus(gpus)
    return _named(found)


def _gpus(gpus: tuple[int, ...]) -> dict[str, str]:
    """Return what shows a program its graphics processors and no other, whoever made them."""
    shown = ",".join(map(str, gpus))
    return {
        "CUDA_VISIBLE_DEVICES": shown, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "ROCR_VISIBLE_DEVICES": shown,
        "GPU_DEVICE_ORDINAL": shown, "ZE_AFFINITY_MASK": shown, "TM_GPUS": shown, "SLURM_JOB_GPUS": shown,
        "SLURM_GPUS_ON_NODE": str(len(gpus)),
    }  # fmt: skip


def _named(found: Mapping[str, str]) -> Layer:
    return "v" + hashlib.sha256(msgspec.json.encode(found)).hexdigest()[:32], found
