"""Language models behind one small protocol: see `base`. One module a provider."""
