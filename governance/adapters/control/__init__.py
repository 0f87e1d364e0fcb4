"""The control database (PostgreSQL): subjects, ledger, quarantine, runs, manifests."""
