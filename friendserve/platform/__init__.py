"""Loops and resolvers of other libraries, and the names Tornado has here."""
