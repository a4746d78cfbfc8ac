#!/bin/sh
# Make the one-file programs in dist/: the clients, and everything.  mkDist.sh --help says more.
here=$(cd "$(dirname "$0")" && pwd)
for python in "$TM_PYTHON" "$here/../.venv/bin/python" python3; do
    command -v "$python" >/dev/null 2>&1 && exec "$python" "$here/onefile/build.py" "$@"
done
echo "mkDist.sh: there is no Python; say 'python3 quickstart.py', or name one with TM_PYTHON" >&2
exit 78
