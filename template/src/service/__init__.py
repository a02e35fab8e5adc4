"""The service behind the Worker: plain Python, but for `platform`, which alone speaks JavaScript."""
