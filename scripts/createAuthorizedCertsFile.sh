#!/bin/sh
# Gather the certificates of all users in etc/certs/authorized_certs.crt:
#   scripts/createAuthorizedCertsFile.sh
exec "$(dirname "$(readlink -f "$0")")/../bin/tm" cert authorized "$@"
