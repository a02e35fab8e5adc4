"""One event for every provider call: how it went and what it cost, never what was said."""
