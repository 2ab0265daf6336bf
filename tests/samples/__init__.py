"""``make docs-samples``: the documentation's sample output is what the commands really say.

A file in ``sessions/`` is a script for bash: ``#= NAME`` begins the lines that are typed and shown as the sample
NAME, ``#-`` begins lines that run unseen.  A page shows a sample after the mark ``<!-- sample SESSION/NAME -->``.
Whatever is typed stands in the session alone, once for both languages; a line of it is a command.
"""
