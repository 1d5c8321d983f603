"""Images and masks: files, folders, caches, transforms and the built-in synthetic set."""
