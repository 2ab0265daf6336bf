"""A torch that can do nothing, for the engine of simulated GPUs, which asks it for nothing: the real one takes two
seconds to import, and most tests of agents are about what comes after."""

from types import SimpleNamespace

__version__ = "0.0"
version = SimpleNamespace(cuda=None)
cuda = SimpleNamespace()


class OutOfMemoryError(RuntimeError):
    """As the real one's."""
