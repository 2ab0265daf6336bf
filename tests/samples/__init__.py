"""``make docs-samples``: the documentation's sample output is what the commands really say.

A file in ``sessions/`` is a script for bash: ``#= NAME`` begins the lines that are typed and shown as the sample
NAME, ``#-`` begins lines that run unseen, ``#< TEXT`` is the answer when the line above asks.  What is typed stands
there alone, once for both languages.  A page shows a sample after the mark ``<!-- sample SESSION/NAME -->``.
"""
