"""What is read for people and programs: the counterpart of services.py, which writes."""
