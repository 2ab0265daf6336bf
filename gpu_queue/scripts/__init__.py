"""What a script asks for: one reading, for the agent, for Python and (by ``say``) for shells.  Pure but for ``say``.

It runs by the Python of a login node, 3.8 and later, and starts fast: no module here imports what takes long.
"""
