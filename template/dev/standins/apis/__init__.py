"""The formats of the providers' APIs, a module each: the folder is the list of them."""

from importlib import import_module
from pkgutil import iter_modules

from dev.standins.api import Api

APIS: tuple[Api, ...] = tuple(
    import_module(f"{__name__}.{module.name}").API for module in iter_modules(__path__)
)
"""The APIs of the providers that this project has."""
