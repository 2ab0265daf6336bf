"""Batches: the tasks of one command file, or of one group of experiment files, as ``gpu-queue report`` tells them."""
