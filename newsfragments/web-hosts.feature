The web interface shows all hosts as cards or as a table, those in trouble first, with the reason and what helps, by state, group or text, and a line of the last hour's load.
