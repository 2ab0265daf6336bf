"""The policy of a spool, its config.yaml: read, changed in one place, judged, saved.

What is changed is the text itself, at the place where a value stands; all other bytes stay as their writer left them.
Places and meanings come from the reader that agents read the file with, so that both are the same.
"""
