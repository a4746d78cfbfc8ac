`tm simulate TRACE.swf` replays a trace of jobs with the very scheduler in virtual time and compares policies: utilisation, waits, slowdowns, fairness, and how often expected starts came true.
