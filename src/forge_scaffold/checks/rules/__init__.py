"""The rules, a module a family. Each subclass of Rule in here is one; none is listed anywhere."""
