What is promised can be checked by anybody: `python3 -m tests.faults` tries faults and attacks (`--hours N --seed S` at random, for as long as you like),
`python3 -m tests.mutants` shows that builds broken on purpose are caught, `python3 -m benchmarks peers` measures Slurm, HyperQueue,
GNU parallel, Grid Engine and task-spooler beside us in one run, and `python3 -m benchmarks scale` simulates up to 3,000 hosts and 10,000 connections.
