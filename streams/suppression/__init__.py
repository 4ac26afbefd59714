"""The suppression agent: strikes, unsubscribes and decisions joined into suppressions."""
