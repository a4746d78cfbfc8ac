The load policy `nice` also works on kernels that share the processor among sessions first (`sched_autogroup`), where the niceness of a process alone says nothing to other sessions.
