"""``hRunJob``: submit jobs, wait for them, follow, list and stop them."""

from __future__ import annotations

import os
import sys

from tm import places as whereabouts
from tm.client import program
from tm.client.choices import ACTIONS, COMMAND_LINE
from tm.client.connection import Connection
from tm.client.options import Options, Reader
from tm.client.program import Manner, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tm.client.submit import Submission
    from tm.client.watch import Watch
    from tm.places import Places

HELP = """
hRunJob "sleep 10"                     submit a job; one argument is shell text
hRunJob --wait -c 4 -m 2G -- prog arg  submit a program with its arguments, wait, end with its exit code
hRunJob script.sh arg                  a copy of a script that begins with #!, with its lines #TM and #SBATCH
hRunJob --array 1-99%10 ./step.sh      99 jobs in one, ten at once; each has its TM_ARRAY_TASK_ID
hRunJob --map 'gzip -k {}' ::: *.log   the command for each value
hRunJob -f 17                          follow the output of job 17      hRunJob -k 17   stop it

submit
  -n, --name NAME (-J, --job-name)    -d, -D, --chdir DIR  working directory (here)
  -o, --output FILE    (tm-%j.out)     -e, --error FILE   (with the output)
  --input FILE         (none)          --append, --open-mode append|truncate       --umask OCTAL
                          in names of files: %j job, %A array, %a task, %n name, %h host, %u user, %% a percent sign
  --env NAME=VALUE        set a variable, may be repeated    --export ALL|NONE|NAME[=VALUE],…
  --comment TEXT          -A, --account GROUP
  --wrap TEXT             shell text, as sbatch has it       --from FILE|-   a command a line (# skips it)
  -W, --wait              wait for the end; ^C only stops looking
  --dry-run (--test-only) submit nothing; say which hosts would fit
 needs
  -c, --cores N (--cpus-per-task)      -m, --mem SIZE     500M, 4G; bare: MiB      --mem-per-cpu SIZE
  -G, --gpus N (--gpus-per-node)  --gres gpu:N           -L, --licenses NAME:N,…                     --exclusive
  -t, --time TIME         30m 1h30m 2:00:00 1-12:00:00; bare: minutes              --processes N
  --signal SIG[@SECONDS]  sent that long before the time is over (60)              --output-limit SIZE
 where
  -w, --host NAME,… (--nodelist)       -x, --exclude NAME,…
  -C, --constraint EXPR   'gpu and not old', 'memory>=32G'   --prefer EXPR         --spread, --pack
 when
  -p, --priority N        -1000 to 1000                      --nice[=N]            later
  -b, --begin WHEN        now+2h 18:30 tomorrow 2026-12-24T18:00                   -H, --hold   until released
  --deadline WHEN         in vain after                      --scavenge            only what is idle; gives way
  --dependency LIST       afterok:17:18,afterany:19; after afternotok aftercorr singleton; ? for any of them
 many
  -a, --array 0-99:2%10   tasks, how many at once            --cap N   of --map    --bundle  one output file
  --map COMMAND ::: a b   {} the value, {.} {/} {//} {/.} parts of it, {#} its number; more ::: combine
  --map-file FILE|-       values, a line each                :::: FILE             the same
 again
  --requeue               may be begun anew when others need its host, or it was restarted      --no-requeue
  --retries N             --retry-on fail,exit:75,oom,host   --retry-delay TIME    --retry-memory x2
 told
  --mail-user ADDRESS (--notify)        also https://… and desktop
  --mail-type EVENTS (--notify-on)      END,FAIL,BEGIN,REQUEUE,TIME_LIMIT,WAITING,FIRST_FAIL,ALL
  --notify-after TIME     that it waits longer than this

look
  -f, --follow ID         show the output as it grows, from its last lines; end with the job
  -l, --list [--all]      my waiting and running jobs; with --all the ended ones too; --expand tasks of arrays
  -i, --info ID…          the whole story of a job
  --why ID…               why it waits, and what would start it
  -s, --status [ID]       TMS and TaskDispatcher, then my jobs; or one job
  --web [look|act|submit] a link that opens the web interface in a browser, once; it may so much there (act)

control
  -k, --kill ID… (--cancel)  stop jobs: 3  3,5  3-7  17_4  17_[0-9]  state=pending name=sim*
  --hold-job ID…  --release ID…     let them not start, and start
  --suspend ID…   --resume ID…      stop them where they are, and let them go on
  --send-signal SIGNAL ID…          --requeue-job ID…   end them and let them wait for another start
  --change ID… time=2h cores=4 mem=8G priority=5 dependency=afterok:3 cap=10 …; of a running job its time
  --rerun ID… [--failed]            submit them again as they were; of an array with --failed what failed
  --reason TEXT   said with it      --dry-run   only say which jobs it would touch

  --json                  one JSON object a line             -q, --quiet, --parsable   ids alone
  -h, --help              --version

exit status: the job's own with --wait and -f (128+n for signal n, 124 time limit, 125 no code known);
of several jobs 0 when all succeeded, else of an array the worst of its tasks and of others 1; otherwise 0 done,
1 refused, 2 usage, 69 unreachable, 75 try again, 77 not permitted, 78 configuration
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``hRunJob`` and return its exit status."""
    return program.run("hRunJob", _run, argv)


def read_options(argv: list[str]) -> tuple[Options, list[str], bool]:
    """Return the options of *argv*, the words behind them, and whether ``--`` stood between; raise `UsageError`."""
    return Reader(COMMAND_LINE, _foreign).read(argv)


def _foreign(name: str) -> str:
    from tm.client.sbatch import foreign

    return foreign(name)


def _run(argv: list[str], manner: Manner) -> int:
    options, words, verbatim = read_options(argv)
    if options.help or options.version:
        print(HELP.strip("\n") if options.help else program.version_line("hRunJob"))
        return 0
    manner.choose(options.json, options.quiet or options.parsable)
    actions = [options.given[action.dest] for action in ACTIONS if action.dest in options.given]
    if len(actions) > 1:
        raise UsageError(f"{' and '.join(actions)} exclude each other")
    if actions and (words or {"source", "wait", "map", "wrap"} & options.given.keys()):
        raise UsageError("a command is submitted by itself, without -f, -l, -i, -s, -k or --web")
    if (options.every or options.expand) and not options.list:
        raise UsageError(f"{'--all' if options.every else '--expand'} belongs to --list")
    for dest in ("reason", "failed"):
        if dest in options.given and not actions:
            raise UsageError(f"{options.given[dest]} belongs to an order for jobs, e.g. --kill 17")
    if options.hold and words and not verbatim and all(word.strip("0123456789,_-[]:") == "" for word in words):
        ids = " ".join(words)
        raise UsageError(f"--hold submits a held job; to hold {ids}: --hold-job {ids}; to submit it: --hold -- {ids}")
    return _look(options, manner) if actions else _submit(options, words, verbatim, manner)


def _look(options: Options, manner: Manner) -> int:
    places = whereabouts.find()
    from tm.client import tms

    if options.web is not None:
        from tm.client.weblogin import show_link

        with tms.open_tms(places) as connection:
            return show_link(connection, options.web, places, manner, os.environ)
    if options.follow is not None:
        from tm.client.follow import follow
        from tm.client.watch import Watch

        watch = Watch(lambda: tms.open_any(places), [options.follow], manner.say)
        return follow(watch, options.follow, manner, lambda: tms.find_tms(places))
    from tm.client import control, look

    if control.is_order(options):
        return control.run(options, places, manner)
    if options.status == 0:
        return look.show_status(places, manner)
    with tms.open_any(places) as connection:
        if options.list:
            return look.show_list(connection, options.every, options.expand, manner)
        if options.why:
            from tm.client.rows import screen_width
            from tm.client.why import show_why

            return show_why(connection, options.why, manner, screen_width())
        return look.show_jobs(connection, options.info or [options.status], manner)


def _submit(options: Options, words: list[str], verbatim: bool, manner: Manner) -> int:
    from tm.client.request import make_request
    from tm.client.submit import Submission, make_lines

    request = make_request(options, words, verbatim, manner.say)
    places = whereabouts.find()
    if options.dry_run:
        from tm.client import tms
        from tm.client.fits import show_fits
        from tm.client.rows import screen_width

        with tms.open_any(places) as connection:
            return show_fits(connection, request, manner, screen_width())
    submission = Submission(
        lambda: Connection.open_tms(places),
        make_lines(request.commands, request.common),
        options.wait,
        manner.say,
    )
    try:
        return _submitted(submission, request.tasks, options.wait, places, manner)
    finally:
        if submission.connection is not None:
            submission.connection.close()


def _submitted(submission: Submission, tasks: int, wanted: bool, places: Places, manner: Manner) -> int:
    try:
        try:
            submission.run()
        finally:
            if submission.ids:
                _print_ids(submission.ids, tasks, manner)
            for text in submission.advice:
                manner.say(text)
        return _wait(submission, tasks, places, manner) if wanted else 0
    except KeyboardInterrupt:
        from tm.client.wait import hint

        if submission.ids:
            hint(submission.ids, manner)
        raise


def _wait(submission: Submission, tasks: int, places: Places, manner: Manner) -> int:
    from tm.client import tms

    watch = _watch(submission.ids, places, manner)
    if submission.connection is not None and submission.heard_all:
        watch.adopt(submission.connection)
    if tasks and len(submission.ids) == 1:
        from tm.client.arrays import wait_array

        return wait_array(watch, submission.ids[0], tasks, lambda: tms.open_any(places), manner)
    from tm.client.wait import wait

    return wait(watch, submission.ids, manner)


def _watch(ids: list[int], places: Places, manner: Manner) -> Watch:
    """Return a watch that at first asks whoever is there, and after a broken connection sees to a TMS."""
    from tm.client import tms
    from tm.client.watch import Watch

    first = iter([tms.open_any])
    return Watch(lambda: next(first, tms.open_waiting)(places), ids, manner.say)


def _print_ids(ids: list[int], tasks: int, manner: Manner) -> None:
    if manner.json:
        sys.stdout.write("".join(f'{{"id":{number}}}\n' for number in ids))
    elif manner.quiet:
        sys.stdout.write("".join(f"{number}\n" for number in ids))
    elif len(ids) == 1:
        print(f"accepted array {ids[0]} of {tasks:,} tasks" if tasks else f"accepted job {ids[0]}")
    else:
        from tm.client.wait import compact

        print(f"accepted {len(ids)} jobs {compact(ids)}")
    sys.stdout.flush()
