"""The program: ``python3 -I -S ROOT/tm/keeper/__main__.py SPOOL NUMBER``, see `tm.keeper`."""

from __future__ import annotations

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tm.keeper.program import main  # only now can it be found

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
