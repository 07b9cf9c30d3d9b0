"""A value that must not be seen: passwords, tokens, keys."""


class Secret:
    """
    A text that hides itself in reprs, logs and tracebacks; `reveal()` is the only way to it.

    Two secrets compare equal when their texts do. Compare user input with `hmac.compare_digest` instead.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Grep for this word to find every place that handles a secret."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[type, tuple[str]]:
        raise TypeError("a Secret is not pickled: hand over where to read it instead")
