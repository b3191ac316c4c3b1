"""What a stack may consist of, checked whenever its program runs."""
