"""What people wrote as files, as tasks of a queue: command files of other schedulers, experiments in YAML."""
