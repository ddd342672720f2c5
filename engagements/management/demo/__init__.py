"""What `manage.py demo` plays: the scenes, the stage they are played on, and the screen they are shown on."""
