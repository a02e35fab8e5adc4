"""Updates of projects: from every release of the template to the newest, and beyond it."""
