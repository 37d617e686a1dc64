"""Programs for maintainers: they generate files of the package and are not part of it."""
