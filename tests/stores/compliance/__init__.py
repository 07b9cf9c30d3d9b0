"""
What every store must do, subject by subject. A store's own test file gives a `Bench` as the fixture `bench` and
inherits each class; see `tests/stores/test_sqlite.py`.
"""
