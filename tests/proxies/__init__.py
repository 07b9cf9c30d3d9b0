"""Reverse proxies that ask evertoken before they forward: the examples' own configurations, run."""
