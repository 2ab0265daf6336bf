"""What people wrote for other schedulers, as tasks of a queue: command files."""
