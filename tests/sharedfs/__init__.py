"""Real network filesystems, mounted twice, the real agents and the real client on them: ``make test-sharedfs``."""
