"""What maintainers measure."""
