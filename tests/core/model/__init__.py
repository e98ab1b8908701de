"""The packet filter again, slow and plain: written from docs/SPEC.md, section 4.

It is compared with the core step by step."""
