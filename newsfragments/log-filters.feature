The dispatcher's log can be read back through all its files and filtered: `log:50:level=warn:text=…:job=…:host=…:user=…:before=…:file=error`.
Lines that could not be written because the disk was full are written when there is room again.
