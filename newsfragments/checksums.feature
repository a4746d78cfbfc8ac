Every job in the store has a checksum: a value that a failing disk or memory has changed is named (`store.corrupt`) and
never taken for what became of a job.
