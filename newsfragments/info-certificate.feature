`hSend HOST PORT info` says until when the certificate of that host's InfoServer is valid; the page of a host shows it.
