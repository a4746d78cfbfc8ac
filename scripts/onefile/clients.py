"""The clients in one file, for any Python from 3.8: a link to it named hRunJob is hRunJob, else its first argument
says what it is to be: ``python3 tm-clients.pyz hRunJob -s``."""

import os
import sys

NAMES = ("hRunJob", "hRun", "hSend", "hListen")


def main():
    """Be the client that the file's name or the first argument says."""
    if sys.version_info < (3, 8):
        sys.exit("TaskManager's clients need Python 3.8 or newer, this is %d.%d" % sys.version_info[:2])
    name = os.path.basename(sys.argv[0])
    if name not in NAMES:
        name = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in NAMES else ""
    if not name:
        print(
            "usage: %s %s ...  (or make links of these names to it)" % (sys.argv[0], "|".join(NAMES)), file=sys.stderr
        )
        return 2
    module = __import__("tm.client." + name.lower(), fromlist=["main"])
    return module.main()


if __name__ == "__main__":
    sys.exit(main())
