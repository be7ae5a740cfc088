"""`python -m mbn_paper`: mbn-paper."""

import sys

from mbn_paper.cli.main import main

sys.exit(main())
