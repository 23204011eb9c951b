"""What long runs need of the operating system: files that are whole, and processes that may die."""
