`tm hosts check` looks at hosts by ssh (Python, program, disk, clock, home, ports, cores) and names for each finding what mends it;
`tm hosts add n2 n3` does so before it takes hosts in, copies the one-file program with `--program`, and waits until they compute.
