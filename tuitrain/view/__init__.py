"""Everything that a person sees, without a screen: pure functions from facts to cells."""
