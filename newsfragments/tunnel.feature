Hosts that let ssh in and nothing out can compute: with `tunnel = true` in `ComputerCluster.config` users' servers and InfoServer come back through
ssh's forwarding, on a port that the host chooses; a broken tunnel is dug again and no job notices.
