"""Which functions exist: transforms, envelopes, polynomials, radial and angular embeddings, selection, coupling."""
