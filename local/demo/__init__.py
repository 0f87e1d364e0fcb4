"""The demo: the whole story on real services, with the commands a user would type."""
