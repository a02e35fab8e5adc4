"""What a generated Worker costs on workerd, beside what else a user could deploy."""
