`hRunJob` takes sbatch's long options where they mean the same, scripts with `#TM` and `#SBATCH` lines, arrays, and one command for many values (`--map`).
