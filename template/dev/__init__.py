"""Local development only: nothing in this folder is uploaded with the Worker."""
