"""`python -m dev.standins [--port N] [--until-eof]`: run the stand-ins until Ctrl-C."""

import argparse
import contextlib
import json
import signal
import sys
import threading

from dev.standins.server import Server


def end_with_input(server: Server) -> None:
    sys.stdin.read()
    server.shutdown()


def main() -> None:
    """Print the address as one line of JSON once it answers, then serve."""
    parser = argparse.ArgumentParser(prog="python -m dev.standins", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input does")
    options = parser.parse_args()
    port = options.port
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if number := getattr(signal, name, None):
            signal.signal(number, lambda *_: sys.exit(0))
    try:
        server = Server(port)
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on port {port}: {error}")
    except RuntimeError as error:
        parser.error(str(error))
    if options.until_eof:  # which it does when whoever has its other end is gone, even killed
        threading.Thread(target=end_with_input, args=[server], daemon=True).start()
    with server, contextlib.suppress(KeyboardInterrupt):
        print(json.dumps({"url": server.url}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
