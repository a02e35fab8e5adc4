"""Forge: from answers to a Cloudflare Python Worker that runs."""
