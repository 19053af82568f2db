"""``make demo``: a careless container host is audited, hardened and audited again, in front of the reader."""
