"""What a project declares and locks, from whatever file says so; one small reader a kind."""
