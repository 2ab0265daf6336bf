__version__ = "2.4.1"
cuda: str | None = "12.1"
