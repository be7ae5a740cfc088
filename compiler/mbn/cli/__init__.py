"""The commands: arguments in, calls into the pipeline, text for people out."""
