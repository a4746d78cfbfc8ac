`tm doctor` looks at everything that a job needs, here and on all hosts (configuration, key and certificates, servers, disks, clocks,
ports, what old installations left), and names for each thing that is not well the command that mends it.
