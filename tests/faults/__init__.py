"""Crashes, deaths and bad storage: each fault at a named step, on real agents and tasks."""
