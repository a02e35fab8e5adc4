"""What moving an existing project to Workers would take. Nothing of the project is run."""
