"""The pages, as plain ES modules. A package for Python only so that an installed service finds them."""
