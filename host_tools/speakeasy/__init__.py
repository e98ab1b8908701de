"""The phone's side of Speakeasy: pairing, claims and the command line."""
