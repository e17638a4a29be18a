"""The edges: one module a group of routes. Each parses, authorises, calls one thing and answers."""
