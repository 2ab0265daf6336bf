"""Job files: command files and experiment files in a queue's ``jobfiles/``, edited, checked and loaded here."""
