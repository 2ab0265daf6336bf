"""Tells people, through apprise: looks at what an agent has written into ``notify/``, and sends it."""
