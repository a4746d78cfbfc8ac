"""The keeper: the small parent of one user's jobs on one host. Standard library only; it outlives the host
server.

``python3 -I -S ROOT/tm/keeper/__main__.py SPOOL NUMBER`` works in the folder SPOOL and has there, with N
its number: ``keeper-N.sock`` (its socket, mode 0600), ``keeper-N.pid`` (written once the socket listens),
``keeper-N.lock`` and ``keeper-N.log`` (its journal, see `tm.keeper.journal`). A second keeper of the same
number says so and ends with status 75; so does one whose number has left a journal behind, which must be
read and removed first.

The host server (TMMS) connects to the socket; both speak JSON objects, one a line. One connection is served
at a time, and the next one is greeted only after the last has been read to its end, so what the greeting
does not name is certainly not here. A last line without its end does not count.

**TMMS says**, any of these keys in a line, obeyed in this order:

| key | value | meaning |
|---|---|---|
| ``env`` | ``{DIGEST: {NAME: VALUE}}`` | environments, kept in memory; above 1,000 the unused ones go |
| ``grant`` | cores | so many may be in use at once; 0, as at first, starts nothing |
| ``start`` | list of orders | queued in order; one whose (job, attempt) is known here is ignored |
| ``cancel`` | ``[[job, attempt, grace], …]`` | waiting: taken back; running: TERM, after *grace* s KILL |
| ``suspend`` | ``[[job, attempt], …]`` | running: the whole tree is stopped |
| ``resume`` | ``[[job, attempt], …]`` | suspended: the whole tree goes on |
| ``beside`` | list of orders | each at once, in the name of a running attempt: of its tree, no attempt itself |
| ``nice`` | ``[[job, attempt, level], …]`` | the whole tree gets this niceness, where the system permits it |
| ``signal`` | ``[[job, attempt, number], …]`` | to the whole tree of a running job |
| ``limit`` | ``[[job, attempt, seconds], …]`` | waiting or running: another wall time from its start, 0: none |
| ``recall`` | ``[[job, attempt], …]`` | waiting: taken back; else nothing |
| ``forget`` | ``[[job, attempt], …]`` | these endings need not be told again |
| ``leave`` | true | end once nothing waits, runs or is still to be forgotten |

An order: ``{"job", "attempt", "command": shell text | [argument, …], "cwd", "env": DIGEST | [DIGEST, …], "vars": {more
variables}, "umask", "stdin", "stdout", "stderr": path | null, "append", "cores"}``; of several environments the later
ones count. It may also have ``"script"`` (the text that runs, with the arguments of ``command``), ``"cpus"`` (the
processors it runs on; without, those of whom it follows at once) and limits (`tm.keeper.limits`): ``"time"`` (seconds),
``"warn"`` (``[signal number, seconds before, to the first process alone]``), ``"memory"`` (bytes), ``"processes"``,
``"own_processes"`` (true: this number is not what holds for anybody), ``"output"`` (bytes of each file). Paths are
relative to ``cwd``; stderr null is "with stdout", the others null is ``/dev/null``. ``vars`` should hold ``TM_JOB_ID``
and ``TM_ATTEMPT``: they tell whose a process is that has left its session. An environment that is not in
memory is read from ``SPOOL/environments/DIGEST``, a JSON object. Orders start strictly in order; one wider
than the grant runs alone. Text is UTF-8 with surrogate escapes, so arguments, names and values of any bytes
arrive as they were.

**The keeper says** first ``{"hello": {"pid", "number", "queued": [[job, attempt], …], "running": [started
facts], "ended": [final facts]}}``, then ``{"facts": [fact, …]}`` as ``docs/protocol.md`` describes facts.
All facts but ``started``, ``suspended`` and ``resumed`` are final, are in the journal before they are told, and
are told again in each hello until they are forgotten. An attempt that was ``returned`` never started and may be
ordered again. A start is told within ten milliseconds, or with its ending where that comes sooner.
``suspended`` is told when nothing of the tree runs any more; it and ``resumed`` are told again
when they are asked for again, and in each hello after their ``started``. ``turn`` counts both, so it is odd while
a job is suspended. A job that is cancelled goes on to meet its end.

Who is over a limit is ended, with the ``cause`` and a ``reason`` in the final fact. ``started`` says in ``rung`` how
limits are enforced, and in ``cpus`` where it runs. Where a control group was handed over (`tm.keeper.cgroup`) the
kernel does it.

``max_rss`` is the most of the whole tree that was seen, and never less than the most of one process. It includes the
moment before ``exec``: it is never below the keeper's own size. The ending of a cancelled job comes when its whole
tree is gone, at the latest some seconds after the KILL; of any other job when its first process ends.
"""
