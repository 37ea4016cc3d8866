"""The serving side: from the bytes of a client to a handler and back."""
