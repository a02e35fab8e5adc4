"""Your own settings: variables and secrets of the Worker, each a field of a model.

    class GreetingSettings(Settings):
        greeting: str = Field(alias="GREETING", default="Hello")

`context.settings(GreetingSettings)` reads them from the environment on first use. `Settings` and
the types for addresses and secrets are in `service.settings`.
"""
