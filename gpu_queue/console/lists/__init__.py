"""Lists of tasks: which of them, in which order, a window at a time."""
