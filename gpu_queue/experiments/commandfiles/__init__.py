"""Command files of other schedulers: blocks of commands, as tasks."""
