Users and groups are administered while the cluster runs: `tm users` and `tm groups` add, change and remove them, keep the comments of
`etc/users` and `etc/groups`, and every change is recorded and can be undone. Groups have rights (also for one verb alone), limits of running
jobs, cores, memory and waiting jobs, and shares; a user who is removed is cut off and their jobs finish or are cancelled. Nobody gives what they lack.
