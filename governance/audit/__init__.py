"""The audit ledger: what was done, in an order that can't be changed unseen. Pure; its stores are adapters.

`records` (what may be kept) -> `merkle` (the tree) -> `heads` (signed tree heads) -> `anchor` (their copies elsewhere),
`ledger` (the Protocols), `verify` (finds and names tampering).
"""
