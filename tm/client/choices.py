"""The options of ``hRunJob``: the table by which command lines and ``#TM`` lines are read."""

from __future__ import annotations

from tm.client.options import ATTACHED, FLAG, MANY, MAYBE, MORE, Option
from tm.model import values

_count = values.read_count

SUBMISSION = [
    Option("-n -J --name --job-name", "name"),
    Option("-c --cores --cpus-per-task", "cores", read=values.read_cores),
    Option("-m --mem", "mem", read=values.read_size),
    Option("--mem-per-cpu", "mem_per_cpu", read=values.read_size),
    Option("-G --gpus --gpus-per-node", "gpus", read=_count(0, 100_000, "gpus")),
    Option("--gres", "gres", read=values.read_gres),
    Option("-L --licenses", "licenses", read=values.read_licenses),
    Option("-t --time", "time", read=values.read_time),
    Option("--signal", "signal", read=values.read_signal),
    Option("--processes", "processes", read=_count(0, 1 << 40, "processes")),
    Option("--output-limit", "output_limit", read=values.read_size),
    Option("-C --constraint", "constraint"),
    Option("--prefer", "prefer"),
    Option("-w --host --nodelist", "host", read=values.read_hosts),
    Option("-x --exclude", "exclude", read=values.read_hosts),
    Option("--exclusive", "exclusive", FLAG),
    Option("--spread", "layout", FLAG, alone="spread"),
    Option("--pack", "layout", FLAG, alone="pack"),
    Option("--scavenge", "scavenge", FLAG),
    Option("-p --priority", "priority", read=values.read_priority),
    Option("--nice", "nice", ATTACHED, values.read_nice, 100),
    Option("-A --account", "account"),
    Option("-a --array", "array", read=values.read_array),
    Option("--bundle", "bundle", FLAG),
    Option("--dependency", "dependency", read=values.read_dependency),
    Option("-b --begin", "begin", read=values.read_when),
    Option("--deadline", "deadline", read=values.read_when),
    Option("-H --hold", "hold", FLAG),
    Option("--requeue", "requeue", FLAG),
    Option("--no-requeue", "requeue", FLAG, alone=False),
    Option("--retries", "retries", read=_count(0, 1000, "retries")),
    Option("--retry-on", "retry_on", read=values.read_retry_on),
    Option("--retry-delay", "retry_delay", read=values.read_pause),
    Option("--retry-memory", "retry_memory", read=values.read_factor),
    Option("--mail-type --notify-on", "mail_type", read=values.read_mail_types),
    Option("--mail-user --notify", "mail_user", read=values.read_addresses),
    Option("--notify-after", "notify_after", read=values.read_pause),
    Option("--comment", "comment"),
    Option("-d -D --chdir", "chdir"),
    Option("--umask", "umask", read=values.read_umask),
    Option("-o --output", "output"),
    Option("-e --error", "error"),
    Option("--input", "input"),
    Option("--append", "append", FLAG),
    Option("--open-mode", "open_mode", read=values.read_open_mode),
    Option("--env", "env", MORE),
    Option("--export", "export"),
    Option("-W --wait", "wait", FLAG),
]
"""What a submission may say, on the command line or in lines ``#TM`` of a script."""

ACTIONS = [
    Option("-f --follow", "follow", read=values.read_id),
    Option("-l --list", "list", FLAG),
    Option("-i --info", "info", MANY, values.read_ids),
    Option("-s --status", "status", MAYBE, values.read_id, 0),
    Option("-k --kill --cancel", "kill", MANY),
    Option("--hold-job", "hold_job", MANY),
    Option("--release", "release", MANY),
    Option("--suspend", "suspend", MANY),
    Option("--resume", "resume", MANY),
    Option("--send-signal", "send_signal", MANY),
    Option("--requeue-job", "requeue_job", MANY),
    Option("--change", "change", MANY),
    Option("--rerun", "rerun", MANY),
    Option("--why", "why", MANY, values.read_ids),
    Option("--web", "web", MAYBE, values.read_may, "act"),
]
"""What looks at jobs, or changes them, instead of submitting one; each stands alone."""

COMMAND_LINE = [
    *SUBMISSION,
    *ACTIONS,
    Option("--wrap", "wrap"),
    Option("--from", "source"),
    Option("--map", "map"),
    Option("--map-file", "map_file"),
    Option("--cap", "cap", read=_count(1, 1_000_000, "tasks at once")),
    Option("--dry-run --test-only", "dry_run", FLAG),
    Option("--reason", "reason"),
    Option("--failed", "failed", FLAG),
    Option("--all", "every", FLAG),
    Option("--expand", "expand", FLAG),
    Option("--parsable", "parsable", FLAG),
    Option("--json", "json", FLAG),
    Option("-q --quiet", "quiet", FLAG),
    Option("-h --help", "help", FLAG),
    Option("--version", "version", FLAG),
]
