`hRun` has a real terminal: ^Z stops the command and `hRun` with it, ^\ leaves it running, `hRun --attach ID` finds it again (`--watch` only looks), and it
survives the end of client and servers. `hRun --in ID` opens a shell beside a running job, within its cores and memory. `hRunJob -f` shows output
a tenth of a second after it was written, read where it is written, whatever NFS caches.
