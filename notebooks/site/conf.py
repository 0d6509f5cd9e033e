"""How Sphinx makes the course's web site; `python -m helpers.make.site` prepares its pages and calls it."""
project = "Transfer learning, measured"
html_title = project
language = "en"

extensions = ["myst_nb"]
nb_execution_mode = "off"  # pages show the outputs that the notebooks hold
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"
myst_heading_anchors = 4  # links into a page name its headings as they do on GitHub

html_theme = "furo"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_static_path, html_favicon = ["static"], "static/icon.svg"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_use_index = html_copy_source = html_show_sourcelink = html_show_copyright = False
