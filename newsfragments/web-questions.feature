The web interface shows the output of a job, read by its user's own server, and the processes, load and history of a host, read by its InfoServer; it
submits jobs where its user's own server has agreed to that session doing so.
