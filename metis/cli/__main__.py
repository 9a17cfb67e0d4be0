"""``python -m metis.cli``: the same as the installed command."""

import sys

from metis.cli import main

sys.exit(main())
