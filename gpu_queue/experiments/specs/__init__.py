"""Experiment files: experiments in YAML, with a matrix, read into runs."""
