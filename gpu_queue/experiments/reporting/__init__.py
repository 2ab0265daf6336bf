"""``gpu-queue report``: what the runs of an experiment took, by the records that are there of them."""
