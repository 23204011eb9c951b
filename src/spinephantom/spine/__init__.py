"""The spine of one person as records of geometry."""
