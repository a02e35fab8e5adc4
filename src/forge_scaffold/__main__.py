"""`python -m forge_scaffold` is `forge`."""

from forge_scaffold.cli import main

if __name__ == "__main__":
    main()
