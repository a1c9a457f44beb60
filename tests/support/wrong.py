"""The failure of a test: the program under test did what it must not do."""


class Wrong(Exception):
    """Something happened that must not happen."""
