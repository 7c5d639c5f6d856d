"""Scripts that measure speed; run as modules, never by the tests."""
