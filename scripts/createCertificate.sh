#!/bin/sh
# Make key, request, certificate and the file of trusted certificates of a user in etc/certs:
#   scripts/createCertificate.sh alice alice@example.org
# 'tm cert create --help' describes the options that may follow.
exec "$(dirname "$(readlink -f "$0")")/../bin/tm" cert create "$@"
