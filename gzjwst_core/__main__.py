"""`python -m gzjwst_core`."""

import sys

from gzjwst_core.cli import main

sys.exit(main())
