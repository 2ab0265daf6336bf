"""``python -m tests.console.stage``."""

from tests.console.stage.demo import main

raise SystemExit(main())
