"""A SQL database: SQLAlchemy Core statements, run by whichever database was chosen."""
