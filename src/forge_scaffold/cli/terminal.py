"""What every command does with the terminal: errors, exit codes, colour, progress."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from forge_scaffold.errors import ForgeError, InternalError, UserError
from forge_scaffold.printable import masked, printable

# As terminals number them (ECMA-48, "set foreground").
COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}


def colours(stream: TextIO) -> bool:
    """Whether colour is welcome: on a terminal that has it, unless NO_COLOR says otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painter(stream: TextIO) -> Callable[..., str]:
    """What styles text for a stream: `painter(sys.stdout)("ok", fg="green", bold=True)`."""
    return _styled if colours(stream) else lambda text, **_: str(text)


def _styled(text: str, *, fg: str = "", bold: bool = False, dim: bool = False) -> str:
    codes = [code for code, wanted in (("1", bold), ("2", dim)) if wanted]
    if fg:
        codes.append(str(COLOURS[fg]))
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes else text


def shown(value: object) -> str:
    """An answer on one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    first, _, more = text.partition("\n")
    return printable(f"{first} ..." if more else first)


def interactive() -> bool:
    """Whether somebody is there to answer questions."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def progress(doing: str) -> Iterator[None]:
    """Say on stderr what takes a moment; a terminal forgets it when it is done."""
    terminal = sys.stderr.isatty()
    print(doing, end="" if terminal else "\n", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        clear_line()


def clear_line() -> None:
    """Take back what `progress` and `counted` have written, before something else is printed."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def counted(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Like `progress`, with a count that the caller reports."""

    def report(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{doing}: {done} of {total} ...", end="", file=sys.stderr, flush=True)

    with progress(f"{doing} ..."):
        yield report


@contextmanager
def outcomes(*, as_json: bool = False) -> Iterator[None]:
    """Turn failures into a message on stderr and an exit code.

    0 it worked, 1 the result failed its check, 2 the user's mistake or the system's refusal,
    129 SIGHUP, 130 Ctrl-C, 141 the reader of the output went away, 143 SIGTERM.

    Args:
        as_json: also print an error on stdout, as JSON.
    """
    # A signal that is ignored stays so: `nohup forge ...` outlives its terminal.
    before = {
        number: signal.signal(number, _terminate)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        try:
            yield
        except ForgeError as error:
            if as_json:
                print(_as_json(error))
            _fail(error)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of ours is no finding
            import traceback

            print(masked(traceback.format_exc()), file=sys.stderr)
            if as_json:
                print(_as_json(InternalError(type(error).__name__)))
            _fail(InternalError(type(error).__name__))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `forge ... | head`
        _drop_output()
        raise SystemExit(128 + signal.SIGPIPE) from None
    except OSError as error:
        _drop_output()
        _fail(UserError(_explained(error)))
    except KeyboardInterrupt:
        print("stopped; nothing was left behind", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explained(error: OSError) -> str:
    """What the system refused. Errors of writing name no file, nor does a folder that is gone."""
    try:
        Path.cwd()
    except OSError:
        return "the current folder is gone; change to another"
    name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{name}{error.strerror or error}"


def _drop_output() -> None:
    """Write nothing more to stdout: Python would try again at its end, and fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _as_json(error: ForgeError) -> str:
    problems = error.problems if isinstance(error, UserError) else str(error).splitlines()
    report = {
        "message": masked(str(error)),
        "problems": list(map(masked, problems)),
        "exit_code": error.exit_code,
    }
    return json.dumps({"error": report}, indent=2)


def _fail(error: ForgeError) -> NoReturn:
    style = partial(painter(sys.stderr), fg="red", bold=True)
    message = str(error)
    if isinstance(error, UserError) and len(error.problems) > 1:
        listed = "".join(f"\n  {problem}" for problem in error.problems)
        message = f"{len(error.problems)} problems, nothing was written{listed}"
    print(f"{style('error:')} {printable(masked(message))}", file=sys.stderr)
    raise SystemExit(error.exit_code)
