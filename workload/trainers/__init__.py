"""What learns: the protocol that the queue and the chain know, and the trainers that keep it."""
