"""What the tests stand on: the two runtimes, the stand-ins, and the ways to call the service."""
