"""A launcher of Hydra: ``python train.py --multirun hydra/launcher=gpu_queue`` (docs/submitit.md, "Hydra").

``hydra_plugins`` is a namespace that many distributions share, and Hydra imports all that lies in it at each start.
"""
