"""The service behind the Worker: plain Python, all but `platform`, which speaks JavaScript."""
