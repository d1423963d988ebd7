"""Real servers and sources of tokens, and what each way in does with them: `make world`."""
