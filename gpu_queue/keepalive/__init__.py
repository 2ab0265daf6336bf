"""The filler: keeps idle GPUs busy inside a band, and gives them back at once."""
