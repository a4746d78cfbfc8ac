`scripts/mkDist.sh` makes one-file programs in `dist/`: the clients (for any Python from 3.8), and everything, with its libraries, for
hosts that have nothing but a Python. `program`, `python` and `root` in `ComputerCluster.config` say where TaskManager is on a host.
