Orders for jobs by id, range, task and filter: hold, release, suspend, resume, signal, requeue, change, tryjobs; jobinfo tells the whole story.
