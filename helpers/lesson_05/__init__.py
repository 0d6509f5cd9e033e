"""What notebook 5 alone needs: How deep, and how? Its figures, its exercises' checks and its panels."""
