"""Operations: the platform's own short-term store of its figures, and what it finds wrong in them."""
