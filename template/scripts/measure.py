"""Runs inside Pyodide: measures what is run of src/. Its value begins that."""

from collections.abc import Callable

from coverage import Coverage


def begin(source: str, data: str, config: str) -> Callable[[], None]:
    """Measure from now on; what is returned ends it, with what was measured in the file `data`."""
    coverage = Coverage(source=[source], data_file=data, config_file=config)
    coverage.start()

    def end() -> None:
        coverage.stop()
        coverage.save()

    return end


begin
