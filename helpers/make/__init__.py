"""Scripts that made what ships in `helpers/assets`; a reader of the course never needs to run them."""
