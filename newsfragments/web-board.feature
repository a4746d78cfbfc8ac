The web interface keeps one picture of the cluster for all who look: hosts, counters, 30 days of history, and it keeps it when it is started anew.
