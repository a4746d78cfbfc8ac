"""What a job's program finds in its environment."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.job_variables import layers, own, whole
from tm.daemon.orders import Order
from tm.keeper.order import number_of
from tm.model.ids import shown_id, task_id
from tm.model.spec import JobSpec, read_spec


def spec(**more: object) -> JobSpec:
    asked = {"user": "alice", "command": "true", "cwd": "/data", "environment": "0" * 64, **more}
    return read_spec(json.dumps(asked))


def order(job: int = 17, **more: object) -> Order:
    return Order(1, job, 1, 4, "", "", **more)  # type: ignore[arg-type]


class VariableTests(SynchronousTestCase):
    def test_programs_find_what_they_look_for_elsewhere(self) -> None:
        found = whole(order(memory=3 << 30), spec(name="fit"), "n1", "physics", {"A": "b"})
        expected = {
            "SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "fit", "SLURM_CPUS_PER_TASK": "4", "SLURM_MEM_PER_NODE": "3072",
            "SLURM_SUBMIT_DIR": "/data", "SLURMD_NODENAME": "n1", "SLURM_JOB_NODELIST": "n1", "SLURM_NTASKS": "1",
            "SLURM_CLUSTER_NAME": "physics", "OMP_NUM_THREADS": "4", "TM_CORES": "4", "A": "b",
        }  # fmt: skip
        self.assertLessEqual(expected.items(), found.items())

    def test_what_the_user_has_set_is_not_set_again_but_nobody_takes_another_name(self) -> None:
        found = whole(order(), spec(), "n1", "physics", {"OMP_NUM_THREADS": "1", "SLURM_JOB_ID": "5", "TM_HOST": "x"})
        self.assertEqual(("1", "17", "n1"), tuple(found[n] for n in ("OMP_NUM_THREADS", "SLURM_JOB_ID", "TM_HOST")))

    def test_the_graphics_processors_it_was_given_are_all_it_sees(self) -> None:
        found = whole(order(gpus=(2, 0)), spec(gpus=2), "n1", "physics", {"CUDA_VISIBLE_DEVICES": "0,1,2,3"})
        self.assertEqual(("2,0", "2"), (found["CUDA_VISIBLE_DEVICES"], found["SLURM_GPUS_ON_NODE"]))
        found = whole(order(), spec(), "n1", "physics", {"CUDA_VISIBLE_DEVICES": "3"})
        self.assertEqual("3", found["CUDA_VISIBLE_DEVICES"])

    def test_a_task_knows_its_place_in_its_array(self) -> None:
        number = task_id(9, 6)
        found = own(order(number), spec(array="2-10:4"))
        for prefix in ("TM_ARRAY_", "SLURM_ARRAY_"):
            names = ("JOB_ID", "TASK_ID", "TASK_COUNT", "TASK_MIN", "TASK_MAX", "TASK_STEP")
            self.assertEqual(["9", "6", "3", "2", "10", "4"], [found[prefix + name] for name in names])
        self.assertEqual("9_6", found["TM_JOB_ID"])

    def test_a_keeper_reads_from_them_whose_a_process_is(self) -> None:
        for number in (1, 17, task_id(9, 6), task_id(4_000_000, 999_999)):
            self.assertEqual(number, number_of(str(shown_id(number)).encode()))
        for wrong in (b"", b"x", b"1_", b"_1", b"1_x", b"-1"):
            self.assertIsNone(number_of(wrong))

    def test_alike_jobs_share_their_layers(self) -> None:
        one, other = layers(order(1), spec(), "n1", "c"), layers(order(2), spec(), "n1", "c")
        self.assertIs(one[1], other[1])
        self.assertNotEqual(one[1][0], layers(order(1), spec(name="other"), "n1", "c")[1][0])
