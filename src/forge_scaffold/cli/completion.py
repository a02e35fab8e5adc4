"""`forge completion`: shell completion for bash, zsh and fish.

Each script hands the words of the command line to `forge`, with the shell's name in
`_FORGE_COMPLETE`. Forge answers with a candidate per line and its description after a tab, or
with the one line `FILES` where a file's name is wanted.
"""

# ruff: noqa: ANN401 - Typer exports no types for its commands and parameters
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer

from forge_scaffold.errors import UserError

FILES = ":files"

BASH = """\
_forge_completion() {
    local IFS=$'\\n' lines line
    lines=$(_FORGE_COMPLETE=bash _FORGE_WORDBREAKS="$COMP_WORDBREAKS" \\
        "${COMP_WORDS[0]}" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    COMPREPLY=()
    if [[ $lines == :files ]]; then
        compopt -o default
        return
    fi
    for line in $lines; do
        COMPREPLY+=("${line%%$'\\t'*}")
    done
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
}
complete -F _forge_completion forge forge-workers
"""

ZSH = """\
#compdef forge forge-workers
_forge() {
    local -a lines values texts
    local line
    lines=("${(@f)$(_FORGE_COMPLETE=zsh ${words[1]} "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ $lines[1] == :files ]]; then
        compset -P '*='
        _files
        return
    fi
    for line in $lines; do
        [[ -n $line ]] || continue
        values+=("${line%%$'\\t'*}")
        texts+=("${line/$'\\t'/  }")
    done
    if [[ $values[1] == *= ]]; then
        compadd -S '' -l -d texts -a values
    else
        compadd -l -d texts -a values
    fi
}
if [[ $funcstack[1] == _forge ]]; then
    _forge "$@"
else
    compdef _forge forge forge-workers
fi
"""

FISH = """\
function __forge_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (_FORGE_COMPLETE=fish command $words[1] $words[2..] 2>/dev/null)
    if test "$lines[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        string join \\n -- $lines
    end
end
complete -c forge -f -a "(__forge_complete)"
complete -c forge-workers -f -a "(__forge_complete)"
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL", help="bash, zsh or fish.", autocompletion=lambda: list(SCRIPTS)
        ),
    ],
) -> None:
    """Print the script that completes forge in a shell.

    \b
    Examples:
      echo 'eval "$(forge completion bash)"' >> ~/.bashrc
      echo 'eval "$(forge completion zsh)"' >> ~/.zshrc    # after compinit
      forge completion fish > ~/.config/fish/completions/forge.fish
    """
    if shell not in SCRIPTS:
        raise UserError(f"{shell}: choose one of {', '.join(SCRIPTS)}")
    print(SCRIPTS[shell], end="")


def answer(shell: str, arguments: Sequence[str]) -> None:
    """Print what the last word of a command line may become."""
    cut = 0
    words = list(arguments)
    if shell == "bash":
        words = _split(arguments[0] if arguments else "")[1:]
        breaks = os.environ.get("_FORGE_WORDBREAKS", "")
        # Bash takes what follows such a character for a word of its own.
        cut = max((words[-1].rfind(each) + 1 for each in "=:" if each in breaks), default=0)
    for value, text in candidates(words):
        if value == FILES:
            print(FILES)
        else:
            print(f"{value[cut:]}\t{text}" if text else value[cut:])
    sys.stdout.flush()


def _split(line: str) -> list[str]:
    """The words of a line, of which the last may be unfinished or empty."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # a quote is open
        words.append(lexer.token)
        return words
    return [*words, ""] if not line or line[-1].isspace() else words


def candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the last of the words may become, each with a description.

    Args:
        words: all after `forge`.
    """
    from forge_scaffold.cli.commands import app

    *before, typed = words or [""]
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="forge", resilient_parsing=True)
    while before and hasattr(command, "commands"):
        name = before.pop(0)
        if name in command.commands:
            command = command.commands[name]
            context = typer.Context(command, info_name=name, parent=context)
    if hasattr(command, "commands") and not typed.startswith("-"):
        for name, each in command.commands.items():
            if name.startswith(typed) and not each.hidden:
                yield name, (each.help or "").partition("\n")[0]
    else:
        yield from _of_command(command, context, before, typed)


def _of_command(
    command: Any,
    context: typer.Context,
    before: Sequence[str],
    typed: str,
) -> Iterator[tuple[str, str]]:
    options = {name: each for each in command.get_params(context) for name in each.opts}
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    given = dict(pairwise(before))
    context.params = {each.name: given.get(name) for name, each in options.items()}
    name, equals, value = typed.partition("=")
    if before and _takes_value(options.get(before[-1])):
        yield from _values(options[before[-1]], context, typed, "")
    elif equals and _takes_value(options.get(name)):
        yield from _values(options[name], context, value, f"{name}=")
    elif typed.startswith("-"):
        for option, each in options.items():
            if option.startswith(typed) and not each.hidden and option.startswith("--"):
                yield option, each.help or ""
    elif arguments:
        yield from _values(arguments[0], context, typed, "")


def _takes_value(option: Any) -> bool:
    return option is not None and not getattr(option, "is_flag", True)


def _values(
    parameter: Any,
    context: typer.Context,
    typed: str,
    prefix: str,
) -> Iterator[tuple[str, str]]:
    found = parameter.shell_complete(context, typed)
    if not found and any(word in (parameter.metavar or "") for word in ("PATH", "FILE")):
        yield FILES, ""
    for item in found:
        yield f"{prefix}{item.value}", item.help or ""
