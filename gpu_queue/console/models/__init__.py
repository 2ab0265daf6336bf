"""What goes over the wire between the console and those who read it: pydantic models, at this border only.

Moments end in ``_at_s`` and are epoch seconds, by the clock of the file server where that is known; durations end in
``_s``.  What nobody knows is null, never 0.  Names that lie in a spool come as they may be shown: without control
characters; the ``key`` of a task is what requests name it by.
"""
