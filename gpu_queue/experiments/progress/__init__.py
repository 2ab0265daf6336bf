"""What ``gpu-queue run`` shows: how far an experiment file has got, as lines or as a screen, and what became of it."""
