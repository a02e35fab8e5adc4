"""Reads Python: what runs when, and what names stand for. It knows of no rule."""
