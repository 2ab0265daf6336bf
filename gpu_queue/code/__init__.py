"""The code that a task runs with: the working tree as it is when the task is submitted (docs/snapshots.md)."""
