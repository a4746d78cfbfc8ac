Hosts are shared with those outside: what is offered follows others' load, memory, the console and service hours, and by policy
running jobs are niced, suspended and resumed, or give way and begin anew elsewhere (only with `hRunJob --requeue`). A drain has a
deadline, `leavehost` clears a machine for its people, `declarelost` gives a host up.
