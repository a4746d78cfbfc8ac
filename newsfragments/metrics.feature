The web interface tells Prometheus how the cluster is at `/metrics` (extra `metrics`): jobs and hosts by state, waiting and running times, loads, cores, memory,
the daemons; `docs/grafana-dashboard.json` is a dashboard for Grafana that shows it.
