"""What a server writes down: messages, the apps' messages, and requests."""
