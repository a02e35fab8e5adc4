"""The modules of a project, and what they call each other."""

from pathlib import PurePosixPath

from forge_scaffold.project import Project


class Modules:
    """The modules of a project, by the names under which they are imported.

    Attributes:
        names: of each module, what its imports call what.
    """

    def __init__(self, project: Project) -> None:
        self.names: dict[PurePosixPath, dict[str, str]] = {}
        self._base = project.base
        self._paths: dict[str, PurePosixPath] = {}
        self._deepest = 0
        for module in project.modules:
            self.names[module.path] = {}
            parts = module.path.relative_to(self._base).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            self._paths[".".join(parts)] = module.path
            self._deepest = max(self._deepest, len(parts))

    def absolute(self, name: str, path: PurePosixPath) -> str:
        """A name with a module's relative import resolved; dots tell how far up it begins."""
        if not name.startswith("."):
            return name
        rest = name.lstrip(".")
        folder = path.relative_to(self._base).parts[: -(len(name) - len(rest))]
        return ".".join([*folder, rest])

    def split(self, name: str) -> tuple[PurePosixPath | None, str]:
        """A module of the project, and the rest of a name inside it."""
        parts = name.split(".", self._deepest + 1)
        for length in range(min(len(parts) - 1, self._deepest), -1, -1):
            if path := self._paths.get(".".join(parts[:length])):
                return path, ".".join(parts[length:])
        return None, name
