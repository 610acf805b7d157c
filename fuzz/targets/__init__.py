"""A file per reader: ``target(data)`` gives it bytes as a file would (:mod:`fuzz`)."""
