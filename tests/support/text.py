"""What the tests check of messages."""


def is_one_sentence(message: str) -> bool:
    """Return whether a message is one sentence on one line."""
    return message.endswith(".") and ". " not in message and "\n" not in message
