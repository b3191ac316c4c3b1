"""What a stack must never do, checked in previews and updates."""
