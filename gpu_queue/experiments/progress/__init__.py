"""What ``gpu-queue run`` shows: how far a file of experiments is, as lines or as a screen, and what became of it."""
