"""A bug of ours that a worker met: told in words, as what was raised there may not travel."""


class StageBug(Exception):
    """Something of class `name` was raised in a stage; `trace` is where."""

    def __init__(self, name: str, words: str, trace: str) -> None:
        super().__init__(f"{name}: {words}")
        self.trace = trace
