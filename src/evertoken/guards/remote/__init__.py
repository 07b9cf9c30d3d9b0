"""A guard in another service: it knows the issuer's address, and perhaps a client credential, and nothing else."""
