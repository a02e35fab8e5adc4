"""What the walk over a Worker's modules meets, whichever rules are followed."""

from typing import NamedTuple

from forge_scaffold.documents import Place


class Import(NamedTuple):
    """An absolute import.

    Attributes:
        name: the module, dotted.
        place: where.
        optional: a failure of it is expected.
        typing: it never runs in a Worker: for type checkers, or under `__main__`.
        later: inside a function: it runs when that is called.
    """

    name: str
    place: Place
    optional: bool
    typing: bool
    later: bool

    @property
    def top(self) -> str:
        """The module that has to be installed."""
        return self.name.partition(".")[0]


class Statement(NamedTuple):
    """An import statement: one module of it.

    Attributes:
        module: dotted, from the folder that is uploaded on; None where it leads out of that.
        names: what it takes from the module; none for `import module`.
        place: where.
        optional: a failure of it is expected.
        dead: it never runs in a Worker.
        later: inside a function: it runs when that is called.
    """

    module: str | None
    names: tuple[str, ...]
    place: Place
    optional: bool
    dead: bool
    later: bool

    @property
    def excused(self) -> bool:
        """Whether it may fail."""
        return self.optional or self.dead


class Use(NamedTuple):
    """A name that the code takes from the Worker's environment.

    Attributes:
        name: as in `self.env.NAME`.
        place: where.
        called: the method that is called on it; None when it is only read.
        default: whether the code has another value for where it is not there.
    """

    name: str
    place: Place
    called: str | None
    default: bool = False


class Facts(NamedTuple):
    """What is there, in the order in which it was met.

    Attributes:
        imports: every absolute import.
        statements: every import, relative ones, too.
        uses: every name taken from the environment.
        classes: the names of all classes.
    """

    imports: tuple[Import, ...] = ()
    statements: tuple[Statement, ...] = ()
    uses: tuple[Use, ...] = ()
    classes: frozenset[str] = frozenset()
