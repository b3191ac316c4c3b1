"""What the fraud trainer learns: streaming features and a logistic regression on them."""
