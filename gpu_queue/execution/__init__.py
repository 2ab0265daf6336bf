"""The only code that forks: it starts, adopts, stops and sweeps the processes of tasks."""
