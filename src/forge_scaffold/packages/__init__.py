"""Packages: the index and its releases, what Pyodide builds, and what resolves in a Worker."""
