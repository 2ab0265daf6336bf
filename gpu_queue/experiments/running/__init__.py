"""``gpu-queue run FILE``: a spool beside the file, an agent here, and somebody who watches both to the end."""
