"""Other queues on Redis, each in its own words, and what is measured about them."""
