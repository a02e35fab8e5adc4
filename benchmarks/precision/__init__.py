"""How many planted faults `forge check` finds, and how often it reports one that is not there."""
