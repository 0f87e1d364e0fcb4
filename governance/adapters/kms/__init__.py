"""Key services: one file a service."""
