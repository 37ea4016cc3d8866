"""The door an app comes in by: `from skitai.server import ssgi`."""
