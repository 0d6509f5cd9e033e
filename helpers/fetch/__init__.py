"""Downloads, verified and resumed: nobody needs to read this to follow the lessons."""
