"""The subcommands of `serverless-kernel`, one a file: `add_parser` declares it, `run` does it."""
